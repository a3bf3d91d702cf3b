"""The VMM of a machine's guests: what VFIO and the IOASID core were to them, by means of today.

Linux 7.3 has no allocator that a guest could ask, no set, no reference of a user, and nothing that
tells KVM or a VDCM of a PASID; it has neither of the two.  So this is the design of 2020 as one
would have to build it on 7.3: QEMU, and the host's part of the virtual devices.  A number is
iommu_alloc_global_pasid's.  A VM has an iommufd context with the page table of its memory, a vIOMMU
and vDevices; bind makes a nested page table and attaches it to (device, PASID), unbind detaches and
destroys it.  KVM and the VDCM are told by whoever changes something, and asked to let go: a number
goes back when they have, nothing has it attached, and not before.  Free waits for all that.

A device of which several VMs have a share stays its driver's, and no context claims it.  7.3 has no
such bind (EPERM for the second context): it is that of the SIOV series, never merged.

Kernel: iommufd of Linux 7.3; "[RFC 3/7] iommufd: Add iommufd_device_bind_pasid()", 9 Oct 2023, and
the idxd VDCM that was written for it (iommu_alloc_global_pasid, iommufd_device_pasid_detach).  §8.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self, TypeAlias, assert_never

from actors.vmm import (
    binding,
    closing,
    faults,
    freeing,
    opening,
    running,
    tables,
    telling,
    unbinding,
    users,
)
from actors.vmm.state import Answer, Life, Task, Vm
from protocol.effects import Out, Site
from protocol.machine import Machine
from protocol.messages import (
    BindPgtbl,
    Done,
    FindBySpid,
    FreePasidRange,
    GetPasid,
    HostLost,
    NotifyReply,
    OpenContainer,
    PutPasid,
    QueueWork,
    Refused,
    RegisterNotifierMm,
    ReleaseFds,
    RequestPasid,
    RespondPage,
    Start,
    UnbindPgtbl,
    UnregisterNotifier,
)
from protocol.messages.guests import FaultsTaken
from protocol.messages.iommu_core import AllocGlobalPasidGot
from protocol.messages.iommufd import ObjectGot, PtGot
from protocol.names import VMM, WORKQUEUE, Call, Name, Pasid

__all__ = ["Inbox", "Vmm"]

OfGuest: TypeAlias = OpenContainer | RequestPasid | FreePasidRange | BindPgtbl | UnbindPgtbl
OfUser: TypeAlias = RegisterNotifierMm | UnregisterNotifier | GetPasid | PutPasid | FindBySpid
Inbox: TypeAlias = (
    Start | HostLost | ReleaseFds | RespondPage | QueueWork | OfGuest | OfUser | Answer
)


@dataclass(slots=True)
class Vmm:
    """What a VM does with its PASIDs happens one after the other; page requests wait for nothing.

    `units` and `faulting` (whether it can ask for pages) by device.
    """

    SITES: ClassVar[tuple[Site, ...]] = ()
    LOSABLE: ClassVar[bool] = False

    units: dict[Name, Name]
    faulting: dict[Name, bool]
    vms: dict[Name, Vm]
    tasks: dict[Call, Task] = field(default_factory=dict)
    lost: list[Name] = field(default_factory=list)

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """No VM has opened anything."""
        assert name == VMM
        vms = {vm.name: Vm(vm.name, k, vm.groups) for k, vm in enumerate(machine.vms, start=1)}
        units = {one.name: one.unit for one in machine.devices}
        return cls(units, {one.name: machine.has_pri(one) for one in machine.devices}, vms)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """The VMM's table of contents."""
        match message:
            case Done() | Refused() | ObjectGot() | PtGot() | AllocGlobalPasidGot():
                running.on_answer(self, message, out)
            case FaultsTaken():
                faults.on_faults_taken(self, message, out)
            case NotifyReply():
                telling.on_reply(self, message, out)
            case GetPasid() | PutPasid() | FindBySpid():
                users.on_use(self, message, sender, out)
            case RegisterNotifierMm() | UnregisterNotifier():
                users.on_block(self, message, sender, out)
            case QueueWork():
                out.send(WORKQUEUE, QueueWork(message.work, *_life(message), owner=sender))
            case RespondPage():
                faults.on_respond_page(self, message, sender, out)
            case OpenContainer():
                opening.on_open_container(self, message, sender, out)
            case RequestPasid():
                freeing.on_request_pasid(self, message, sender, out)
            case FreePasidRange():
                freeing.on_free_pasid_range(self, message, sender, out)
            case BindPgtbl():
                binding.on_bind_pgtbl(self, message, sender, out)
            case UnbindPgtbl():
                binding.on_unbind_pgtbl(self, message, sender, out)
            case ReleaseFds():
                closing.on_release_fds(self, message, sender, out)
            case HostLost():
                users.on_host_lost(self, message, out)
            case Start():
                pass  # Nothing is open before a guest boots.
            case _:
                assert_never(message)

    def life(self, task: Task, pasid: Pasid) -> Life:
        """A PASID of the task's VM."""
        return self.vms[task.vm].pasids[pasid]

    def owner_of(self, pasid: Pasid) -> Vm | None:
        """Whose it is."""
        return next((vm for vm in self.vms.values() if pasid in vm.pasids), None)

    # --- Rules, one method each -------------------------------------------------------------------

    def is_open(self, vm: Vm, group: int | None = None) -> bool:
        """Whether the VM runs and has a group, or this one, open."""
        return not vm.released and (bool(vm.open) if group is None else group in vm.open)

    def answers_pages(self, vm: Vm) -> bool:
        """Whether its guest is there to answer a page request."""
        return not vm.released and not vm.guest_lost

    def is_unused(self, life: Life) -> bool:
        """Whether all who used it have let go, but those who are lost and never will."""
        return all(users.actor_of(holder) in self.lost for holder in life.users)

    begin = tables.begin
    step = tables.step
    note = tables.note
    can_undo = tables.can_undo
    undo = tables.undo
    end = tables.end
    shares = opening.shares
    free_steps = freeing.free_steps
    unbind_steps = unbinding.unbind_steps
    close_steps = closing.close_steps
    subscribers = telling.subscribers
    forget_faults = faults.forget


def _life(work: QueueWork) -> tuple[Pasid, int]:
    return work.pasid, work.incarnation
