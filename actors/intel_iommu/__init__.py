"""The VT-d driver of a modern kernel: domains, and which of them each PASID of a device has (§8).

The IOMMU core calls it under the lock of a group, so that several of its calls may be under way; an
mm calls it back under no lock of the core's.  Between them stand the spinlocks of a domain.  It
believes what the core says was there, and what it keeps itself is by domain.

Kernel: drivers/iommu/intel of Linux 7.3.  One module per operation; the class names the steps.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self, TypeAlias, assert_never

from msgspec.structs import replace

from actors.intel_iommu.locks import Lock
from actors.intel_iommu.state import (
    NOMEM_DOMAIN,
    NOMEM_RECORD,
    NOMEM_TAG,
    DomainState,
    Pte,
    Round,
    Tag,
    Task,
)
from actors.intel_iommu.steps import Steps
from actors.intel_iommu.tasks import on_lost
from protocol.domains import BLOCKING, DEFAULT, Domain
from protocol.effects import Out, Site
from protocol.machine import Device, Machine
from protocol.messages import (
    DeviceReset,
    Done,
    DrainRequestsGot,
    HostLost,
    PageRequestInterrupt,
    ReadPrqGot,
    Refused,
    Start,
    TimerFired,
)
from protocol.messages.address_spaces import InvalidateSecondaryTlbs, ReleaseMm, RespondPageRequest
from protocol.messages.hotplug import ProbeDevice, ReleaseDevice
from protocol.messages.iommu_core import RemoveDevPasid, SetDevPasid
from protocol.messages.iommufd import AllocDomain, AllocNestedDomain, FreeDomain
from protocol.messages.probing import AttachDev, HwInfo
from protocol.messages.sva import DomainAllocSva, DomainFree
from protocol.names import Call, Name

Request: TypeAlias = (
    SetDevPasid
    | RemoveDevPasid
    | DomainAllocSva
    | DomainFree
    | AllocDomain
    | AllocNestedDomain
    | FreeDomain
    | ReleaseMm
    | InvalidateSecondaryTlbs
    | RespondPageRequest
    | HwInfo
    | AttachDev
    | ProbeDevice
    | ReleaseDevice
)
Answer: TypeAlias = Done | Refused | ReadPrqGot | DrainRequestsGot
Inbox: TypeAlias = (
    Start | HostLost | TimerFired | Request | Answer | PageRequestInterrupt | DeviceReset
)


@dataclass(slots=True)
class IntelIommu(Steps):
    """`table` is what the CPU has written into PASID tables; `iopf` counts references by device.

    `locks` are those that somebody keeps; `given` are the domains of the machine, and `lacks` what
    units and devices of it cannot do.  Devices that are `gone` answer nothing; those `released` are
    the driver's no more.
    """

    SITES: ClassVar[tuple[Site, ...]] = (NOMEM_DOMAIN, NOMEM_RECORD, NOMEM_TAG)
    LOSABLE: ClassVar[bool] = False

    devices: dict[Name, Device]
    given: tuple[Domain, ...]
    processes: tuple[Name, ...]
    lacks: dict[Name, tuple[str, ...]] = field(default_factory=dict)
    domains: dict[Name, DomainState] = field(default_factory=dict)
    table: dict[Tag, Pte] = field(default_factory=dict)
    iopf: dict[Name, int] = field(default_factory=dict)
    tasks: dict[Call, Task | Round] = field(default_factory=dict)
    locks: dict[str, Lock] = field(default_factory=dict)
    gone: list[Name] = field(default_factory=list)
    released: list[Name] = field(default_factory=list)

    @classmethod
    def of(cls, machine: Machine, _name: Name) -> Self:
        """Nothing is attached; PRI is off where its unit cannot drain what it asks for."""
        behind = [one for one in machine.devices if one.unit]
        devices = {one.name: replace(one, pri=machine.has_pri(one)) for one in behind}
        lacks = {one.name: one.lacks for one in machine.units if one.lacks}
        off = [one.name for one in behind if one.pasids and not machine.has_pasid(one)]
        for one in behind:
            if one.quirks or one.name in off:
                lacks[one.name] = (*one.quirks, *(["pasid-off"] if one.name in off else []))
        domains = (*machine.domains, BLOCKING, DEFAULT)
        return cls(devices, domains, machine.processes, lacks)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """The driver's table of contents."""
        match message:
            case Done() | Refused() | ReadPrqGot() | DrainRequestsGot():
                self.on_answer(message, out)
            case SetDevPasid():
                self.on_set_dev_pasid(message, sender, out)
            case RemoveDevPasid():
                self.on_remove_dev_pasid(message, sender, out)
            case PageRequestInterrupt():
                self.on_page_request_interrupt(sender, out)
            case TimerFired():
                self.on_timer_fired(message, out)
            case RespondPageRequest():
                self.on_respond(message, out)
            case InvalidateSecondaryTlbs():
                self.on_invalidate(message, sender, out)
            case ReleaseMm():
                self.on_release_mm(message, sender, out)
            case DomainAllocSva():
                self.on_domain_alloc_sva(message, sender, out)
            case AllocDomain() | AllocNestedDomain():
                self.on_alloc(message, sender, out)
            case DomainFree() | FreeDomain():
                self.on_free(message, sender, out)
            case AttachDev():
                self.on_attach_dev(message, sender, out)
            case HwInfo():
                self.on_hw_info(message, sender, out)
            case ProbeDevice():
                self.on_probe(message, sender, out)
            case ReleaseDevice():
                self.on_release(message, sender, out)
            case DeviceReset():
                self.on_device_reset(sender, out)
            case HostLost():
                on_lost(self, message.name, out)
            case Start():
                self.on_start(out)
            case _:
                assert_never(message)

    def on_attach_dev(self, attach: AttachDev, core: Name, out: Out) -> None:
        """Nobody refuses it here: what DMA without PASID has is kept by the core."""
        if attach.call:
            out.send(core, Done(attach.call))

    def on_start(self, out: Out) -> None:
        """Units and devices are there; nothing is attached."""

    def domain_of(self, task: Task) -> Name:
        """Whose place it is that a task tears down: what it was told was there, or what is."""
        tag = (task.place.device, task.place.pasid)
        asked = task.domain if task.silent else task.old
        names = [asked, *self.domains]
        return next((one for one in names if self.has_place(one, tag)), "")

    def has_place(self, name: Name, tag: Tag) -> bool:
        """Whether the domain is attached there."""
        domain = self.domains.get(name)
        places = () if domain is None else domain.places
        return any((one.device, one.pasid) == tag for one in places)
