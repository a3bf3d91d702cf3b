"""One iommufd context: page tables as objects, and who has which of them for which PASID.

A call is a task that holds what it has looked up, and locks; between its steps others come in.  The
locks are those that decide who waits for whom: of a mock device, of an IOAS, of a group, of a
fault queue.  Everything about one object that the kernel does under a spinlock is one step.

Kernel: drivers/iommu/iommufd/{main,device,hw_pagetable,eventq,selftest}.c.  §8.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, Self, TypeAlias

from actors.iommufd import (
    attaching,
    automatic,
    beginning,
    destroying,
    detaching,
    devices,
    fault_files,
    faults,
    locking,
    pagetables,
    replacing,
    serving,
)
from actors.iommufd.inbox import Answer, Inbox, Request
from actors.iommufd.objects import may_remove
from actors.iommufd.sites import SITES
from actors.iommufd.state import AnyObject, Attach, Device, Do, FaultQueue, Nested, Paging, Task
from protocol.effects import Out, Site
from protocol.machine import Machine
from protocol.messages import Done, HostLost, Refused, Start
from protocol.messages.iommu_core import AttachHandleGot
from protocol.messages.iommufd import DeliverFault, DomainGot, Proceed
from protocol.messages.probing import HwInfoGot
from protocol.names import Call, Name, Pasid

if TYPE_CHECKING:
    from collections.abc import Callable

    Step: TypeAlias = Callable[["Iommufd", Task, Out], bool]

STEPS: Final[dict[Do, Step]] = {
    **attaching.STEPS,
    **replacing.STEPS,
    **detaching.STEPS,
    **automatic.STEPS,
    **pagetables.STEPS,
    **devices.STEPS,
    **destroying.STEPS,
    **faults.STEPS,
    **fault_files.STEPS,
    **serving.STEPS,
}
"""What a task does; False: it waits for an answer or for a lock, and then goes on with the next."""


@dataclass(slots=True)
class Iommufd:
    """`attached` by group and PASID; who holds a lock is first in it, the others wait.

    The groups that are `unsafe` can raise interrupts of others; `functions` are VFs with PRI.
    """

    SITES: ClassVar[tuple[Site, ...]] = SITES
    LOSABLE: ClassVar[bool] = False

    name: Name
    objects: dict[int, AnyObject] = field(default_factory=dict)
    attached: dict[Name, dict[Pasid, Attach]] = field(default_factory=dict)
    handles: dict[Name, Name] = field(default_factory=dict)
    locks: dict[str, list[Call]] = field(default_factory=dict)
    tasks: dict[Call, Task] = field(default_factory=dict)
    unsafe: tuple[Name, ...] = ()
    functions: tuple[Name, ...] = ()

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """An empty context."""
        return cls(name, unsafe=devices.unsafe(machine), functions=devices.functions(machine))

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """A request becomes a task; an answer, or its turn, lets one go on."""
        match message:
            case Start() | HostLost():
                pass  # A context belongs to its file: whoever loses it closes it.
            case DeliverFault():
                self.take_in(message, sender, out)
            case Proceed():
                self.go_on(self.tasks[message.call], out)
            case Done() | Refused() | AttachHandleGot() | DomainGot() | HwInfoGot():
                self.on_answer(message, out)
            case _:
                self.on_request(message, sender, out)

    def on_request(self, request: Request, sender: Name, out: Out) -> None:
        """What a call begins with."""
        task = Task(self.number_for(request), sender, request, [Do.END])
        self.tasks[task.number] = task
        beginning.begin(self, task, out)
        self.go_on(task, out)

    def on_answer(self, answer: Answer, out: Out) -> None:
        """What a task asked outwards has been answered."""
        task = self.tasks[answer.call]
        task.errno = None
        match answer:
            case Refused():
                task.errno = answer.errno
            case AttachHandleGot():
                task.got = answer.handle
            case DomainGot():
                task.got = answer.domain
            case HwInfoGot():
                task.pasid = answer.width
            case _:
                assert isinstance(answer, Done), "there is nothing to note of it"
        self.go_on(task, out)

    def go_on(self, task: Task, out: Out) -> None:
        """Step by step, until it waits."""
        while task.todo and STEPS[task.todo.pop()](self, task, out):
            pass

    def number_for(self, _request: Request) -> Call:
        """The smallest that no task has (§1.6)."""
        number = 1
        while number in self.tasks:
            number += 1
        return number

    def handle_for(self, _task: Task) -> Name:
        """A name that no live handle has."""
        number = 1
        while f"{self.name}.h{number}" in self.handles:
            number += 1
        return f"{self.name}.h{number}"

    compatible = attaching.compatible
    listed = automatic.listed
    queue_of_faults = replacing.queue_of_faults
    users_of = replacing.users_of
    leave = detaching.leave
    may_remove = may_remove
    release = destroying.release

    def attaches_of(self, group: Name) -> dict[Pasid, Attach]:
        """What the group has, by PASID."""
        return self.attached.setdefault(group, {})

    def device(self, at: int) -> Device:
        """A device that somebody holds."""
        found = self.objects[at]
        assert isinstance(found, Device), "who names a device object holds one"
        return found

    def pagetable(self, at: int) -> Paging | Nested:
        """A page table that somebody holds."""
        found = self.objects[at]
        assert isinstance(found, Paging | Nested), "what is attached is a page table"
        return found

    def domain_of(self, handle: Name) -> Name:
        """What the core has put into a handle; nothing in one that is gone."""
        return self.handles.get(handle, "")

    def queue(self, at: int) -> FaultQueue:
        """A fault queue that somebody holds."""
        found = self.objects[at]
        assert isinstance(found, FaultQueue), "a page table holds its queue"
        return found

    # --- Rules that were different once -------------------------------------------------------

    bind = devices.bind
    bound = devices.bound
    take_in = faults.take_in
    lock_trigger = faults.lock_trigger
    read = fault_files.read
    abort_queue = fault_files.abort_queue

    def lock_mock(self, task: Task, out: Out) -> bool:
        """One call at a time for a mock device."""
        return self.lock(task, f"mock:{task.mock}", Do.LOCK_MOCK, out)

    lock = locking.lock
    unlock = locking.unlock
