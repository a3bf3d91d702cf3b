"""The IOMMU core: which domain a PASID has on the devices of a group, and whom its faults go to.

A slot is EMPTY, RESERVED while the devices are being programmed, or ATTACHED; only then is its
handle seen.  What is done to one group is done under its lock, one thread after the other, and
look-ups take no lock.  Numbers for PASIDs are handed out here too: the lowest that is free.

Kernel: drivers/iommu/iommu.c of Linux 7.3.  §8.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self, TypeAlias

from actors.iommu_core import attach, detach, group, hotplug, lock, lookups, reset, rules, uses
from actors.iommu_core.state import (
    CLAIM_NOMEM,
    ITS_OWN,
    NUMBER_NOMEM,
    SLOT_NOMEM,
    Dev,
    GroupState,
    Locked,
    Request,
    Table,
    devices_of,
    domain_of,
    domains_of,
    groups_of,
)
from protocol.domains import NULL, Domain
from protocol.effects import Out, Site
from protocol.machine import Machine
from protocol.messages import Done, HostLost, Refused, Start
from protocol.messages.iommu_core import (
    AllocGlobalPasid,
    AttachDevicePasid,
    AttachGroupHandle,
    AttachHandleGet,
    DetachGroupHandle,
    FreeGlobalPasid,
    PlugDevice,
    ReplaceDevicePasid,
    ReplaceGroupHandle,
)
from protocol.names import Incarnation, Name, Pasid

Inbox: TypeAlias = Start | HostLost | Request | Done | Refused


@dataclass(slots=True)
class IommuCore:
    """`handles`: the domain that each handle in a slot says; `numbers` are out, each with its life.

    `numbered` are the groups by the number of their driver calls.  `told`: there is a driver that
    hears of devices that come and go.
    """

    SITES: ClassVar[tuple[Site, ...]] = (SLOT_NOMEM, CLAIM_NOMEM, NUMBER_NOMEM)
    LOSABLE: ClassVar[bool] = False

    domains: tuple[Domain, ...]
    devices: dict[Name, Dev]
    groups: dict[Name, GroupState]
    numbered: tuple[Name, ...]
    told: bool
    handles: dict[Name, Name] = field(default_factory=dict)
    numbers: dict[Pasid, Incarnation] = field(default_factory=dict)
    incarnations: int = 0

    @classmethod
    def of(cls, machine: Machine, _name: Name) -> Self:
        """Nothing is attached, no number is out."""
        devices = devices_of(machine)
        groups = groups_of(machine, devices)
        return cls(domains_of(machine), devices, groups, ("", *groups), bool(machine.units))

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """Look-ups and numbers at once, all else when it has the lock of its group."""
        match message:
            case Start() | HostLost():
                pass  # Who has died cannot detach: whoever kept its file for it does.
            case AttachHandleGet():
                self.on_attach_handle_get(message, sender, out)
            case AllocGlobalPasid():
                self.on_alloc_global_pasid(message, sender, out)
            case FreeGlobalPasid():
                self.on_free_global_pasid(message, sender, out)
            case Done() | Refused():
                self.on_driver_answer(message, out)
            case AttachDevicePasid() | ReplaceDevicePasid():
                errno = self.unlocked_refusal(self.devices.get(message.device), message)
                if errno is None:
                    self.on_locked(message, sender, out)
                else:
                    out.send(sender, Refused(message.call, errno))
            case _:
                self.on_locked(message, sender, out)

    def on_locked(self, request: Locked, sender: Name, out: Out) -> None:
        """Whoever has no group needs no lock."""
        group = self.group_of(request)
        if group is None:
            self.locked(request, sender, out)
        else:
            self.take(group, request, sender, out)

    def domain(self, name: Name) -> Domain:
        """What a domain is: the machine says it, or the name."""
        return domain_of(self.domains, name)

    def group_of(self, request: Locked) -> GroupState | None:
        """Whose lock a request needs; a device that comes goes to the group it is made for."""
        match request:
            case AttachGroupHandle() | ReplaceGroupHandle() | DetachGroupHandle():
                return self.groups.get(request.group)
            case _:
                device = self.devices.get(request.device)
                if device is None:
                    return None
                home = device.home if isinstance(request, PlugDevice) else device.group
                return self.groups.get(home)

    def table(self, group: GroupState, _device: Name) -> Table:
        """The slots for a device: those of its group, also the RID's.  Seed 001 asks whether so."""
        return group.tables.setdefault(ITS_OWN, {})

    def owner_of_slots(self, group: GroupState, _device: Name) -> Name:
        """What the table for a device is called in what the core states."""
        return group.name

    def table_seen(self, name: Name) -> Table:
        """The table that a look-up goes to."""
        group = self.groups.get(name)
        return {} if group is None else self.table(group, NULL)

    on_attach_handle_get = lookups.on_attach_handle_get
    on_alloc_global_pasid = lookups.on_alloc_global_pasid
    on_free_global_pasid = lookups.on_free_global_pasid
    numbers_for = lookups.numbers_for
    take = lock.take
    locked = lock.locked
    start = lock.start
    call_of = lock.call_of
    on_driver_answer = lock.on_driver_answer
    unlocked_refusal = rules.unlocked_refusal
    can_set = rules.can_set
    can_remove = rules.can_remove
    fits = rules.fits
    attach_refusal = rules.attach_refusal
    replace_refusal = rules.replace_refusal
    beyond_limit = rules.beyond_limit
    slot_refusal = rules.slot_refusal
    visible = rules.visible
    look_up_refusal = rules.look_up_refusal
    group_refusal = rules.group_refusal
    handle_wanted = rules.handle_wanted
    claim_refusal = rules.claim_refusal
    on_use = uses.on_use
    use_refusal = uses.use_refusal
    on_unuse = uses.on_unuse
    begin_attach = attach.begin_attach
    begin_replace = attach.begin_replace
    reserve = attach.reserve
    program = attach.program
    old_domain = attach.old_domain
    asked = attach.asked
    undo = attach.undo
    back = attach.back
    end_attaching = attach.end_attaching
    install = attach.install
    write_handle = attach.write_handle
    forget_handle = attach.forget_handle
    in_place = attach.in_place
    domain_in = attach.domain_in
    begin_detach = detach.begin_detach
    release_slot = detach.release_slot
    refused = detach.refused
    end_other = detach.end_other
    on_group_request = group.on_group_request
    own_domain = group.own_domain
    set_rid = group.set_rid
    on_claim = group.on_claim
    on_release = group.on_release
    may_release = group.may_release
    on_plug = hotplug.on_plug
    on_unplug = hotplug.on_unplug
    told_driver = hotplug.told_driver
    end_hotplug = hotplug.end_hotplug
    on_left = hotplug.on_left
    let_go = hotplug.let_go
    begin_prepare = reset.begin_prepare
    counts = reset.counts
    attached = reset.attached
    end_prepare = reset.end_prepare
    begin_done = reset.begin_done
    end_done = reset.end_done
