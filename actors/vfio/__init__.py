"""VFIO: the only door through which a guest gets, binds and frees PASIDs.

It owns what a process has opened and allocated, and is in the end responsible for it: whatever a
guest did or did not do, closing its files takes every PASID off every device and frees it.  Which
device has which PASID it does not know; it goes over all devices of a group and asks the driver.

Kernel: drivers/vfio/vfio_iommu_type1.c and vfio_pasid.c of "vfio: expose virtual Shared Virtual
Addressing to VMs" v7 (10 Sep 2020).  §4.1, §4.4, §4.8.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self, TypeAlias, assert_never

from actors.vfio import bind, containers, faults, pasids, release, unbind
from actors.vfio.state import (
    CHECK,
    Alloc,
    Answer,
    Bind,
    Free,
    Locked,
    Open,
    Process,
    Release,
    Respond,
    Task,
    Unbind,
)
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.machine import Machine
from protocol.messages import (
    AllocPasidGot,
    AllocSetGot,
    BindPgtbl,
    Done,
    FlushFaults,
    FreePasidRange,
    GetIfOwned,
    HostLost,
    OpenContainer,
    PageRequestReport,
    PutPasidGot,
    Refused,
    ReleaseFds,
    RequestPasid,
    RespondPage,
    Start,
    UnbindPgtbl,
)
from protocol.names import CORE, VFIO, Call, Name, guest_of, vm_of

__all__ = ["Inbox", "Vfio"]

Inbox: TypeAlias = (
    Start
    | OpenContainer
    | RequestPasid
    | FreePasidRange
    | BindPgtbl
    | UnbindPgtbl
    | ReleaseFds
    | PageRequestReport
    | RespondPage
    | FlushFaults
    | HostLost
    | Answer
)


@dataclass(slots=True)
class Vfio:
    """A process's lock is held by one of `tasks`, or by nobody and then nobody waits for it."""

    SITES: ClassVar[tuple[Site, ...]] = (pasids.LINK,)
    LOSABLE: ClassVar[bool] = False

    quota: int
    processes: dict[Name, Process]
    tasks: dict[Call, Task] = field(default_factory=dict)

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """The one VFIO of the machine."""
        assert name == VFIO
        return cls(machine.quota, {vm.name: Process(vm.groups) for vm in machine.vms})

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        match message:
            case Done() | AllocPasidGot() | PutPasidGot() | Refused() | AllocSetGot():
                self.on_answer(message, out)
            case FreePasidRange():
                pasids.on_free_pasid_range(self, message, sender, out)
            case RequestPasid():
                pasids.on_request_pasid(self, message, sender, out)
            case BindPgtbl():
                bind.on_bind_pgtbl(self, message, sender, out)
            case UnbindPgtbl():
                unbind.on_unbind_pgtbl(self, message, sender, out)
            case FlushFaults():
                faults.on_flush_faults(message, sender, out)
            case PageRequestReport():
                faults.on_page_request_report(self, message, out)
            case RespondPage():
                faults.on_respond_page(self, message, sender, out)
            case OpenContainer():
                containers.on_open_container(self, message, sender, out)
            case ReleaseFds():
                release.on_release_fds(self, message, sender, out)
            case Start():
                pass  # Nothing is open before somebody opens it.
            case HostLost():
                self.on_host_lost(message)
            case _:
                assert_never(message)

    def on_answer(self, answer: Answer, out: Out) -> None:
        """The task that asked goes on."""
        task = self.tasks.get(answer.call)
        match task:
            case None:
                pass  # A second copy of an answer whose task has ended.
            case Free():
                pasids.free_next(self, task, out)
            case Alloc():
                pasids.resume_alloc(self, task, answer, out)
            case Bind():
                bind.resume(self, task, answer, out)
            case Unbind():
                unbind.resume(self, task, answer, out)
            case Open():
                containers.resume(self, task, answer, out)
            case Release():
                release.resume(self, task, out)
            case Respond():
                faults.resume(self, task, answer, out)
            case _:
                assert_never(task)

    def on_host_lost(self, lost: HostLost) -> None:
        """A lost guest answers no page request; its files are the supervisor's to close.

        Of all others VFIO asks only the core and the driver, and those go with the whole host.
        """
        process = self.processes.get(vm_of(lost.name))
        if process is not None and lost.name == guest_of(vm_of(lost.name)):
            process.guest_lost = True

    def begin(self, task: Locked, out: Out) -> None:
        """Its turn has come."""
        match task:
            case Open():
                containers.begin(self, task, out)
            case Alloc():
                pasids.begin_alloc(self, task, out)
            case Free():
                pasids.free_next(self, task, out)
            case Bind():
                bind.begin(self, task, out)
            case Unbind():
                unbind.begin(self, task, out)
            case Release():
                release.begin(self, task, out)
            case _:
                assert_never(task)

    # --- Rules, one method each -------------------------------------------------------------------

    def is_open(self, vm: Name, group: int | None = None) -> bool:
        """Whether the process has a vfio_mm, or a container of this group, and has not ended."""
        process = self.processes.get(vm)
        if process is None or process.released:
            return False
        return bool(process.containers) if group is None else group in process.containers

    def needs_lock(self, task: Locked) -> bool:
        """All that a process does with PASIDs is serialised (v7; v8 dropped it: S10)."""
        return True

    def check_owner(self, task: Bind | Unbind, out: Out) -> None:
        """The PASID is of the process's own set, and stays as long as VFIO works on it (N10)."""
        request = GetIfOwned(task.number, task.vm, task.pasid, task.incarnation, CHECK)
        out.send(CORE, request)

    def devices_to_roll_back(self, task: Bind) -> list[Name]:
        """Exactly those that this call bound, backwards; another's binding stays (mends S8)."""
        return task.bound[::-1]

    def errno_of_alloc(self, failed: Errno) -> Errno:
        """The errno is a field of its own (mends S30)."""
        return failed

    def errno_of_unbind(self, failed: Errno) -> Errno | None:
        """A PASID that is gone or being cleaned is unbound already (S11)."""
        return None if failed in {Errno.ENOENT, Errno.EBUSY} else failed

    def answers_pages(self, vm: Name) -> bool:
        """Whether the VM's guest is there to answer a page request (mends S34c)."""
        process = self.processes.get(vm)
        return process is not None and not process.released and not process.guest_lost
