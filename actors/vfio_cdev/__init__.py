"""VFIO's device files in a modern kernel: a user binds a device to iommufd, and attaches to it.

What is attached through a device is kept by VFIO, too: the set of its PASIDs, and whether DMA
without PASID is.  So it knows what is a replace, and what a close has to take away.  One call at a
time for devices that are reset together, with the lock of their set held while iommufd works.

Kernel: drivers/vfio/{device_cdev,iommufd,vfio_main}.c of Linux 7.3.  §8 (I35, S28).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, Self, TypeAlias

from actors.vfio_cdev import attaching, binding, closing, locking
from actors.vfio_cdev.state import SITES, Do, File, OnFile, Request, Task, Vdev
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.machine import VFIO_DRIVERS, VFIO_PCI, Machine
from protocol.messages import Done, HostLost, Refused, Start
from protocol.messages.iommufd import ObjectGot, PtGot
from protocol.messages.vfio_cdev import (
    AttachIommufdPt,
    BindIommufd,
    CdevGot,
    CloseCdev,
    DetachIommufdPt,
    OpenCdev,
)
from protocol.names import Call, Name

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.messages import AnyMessage

    Step: TypeAlias = Callable[["VfioCdev", Task, Out], bool]

Answer: TypeAlias = Done | Refused | ObjectGot | PtGot
Inbox: TypeAlias = Start | HostLost | Request | Answer

STEPS: Final[dict[Do, Step]] = {
    **locking.STEPS,
    **binding.STEPS,
    **attaching.STEPS,
    **closing.STEPS,
}
"""What a call does; False: it waits for an answer or for a lock, and then goes on with the next."""
MAY_FAIL: Final = (Do.BOUND, Do.ATTACHED)
"""What comes after a call that may be refused."""


@dataclass(slots=True)
class VfioCdev:
    """`locks` by name: who has it is first, the others wait."""

    SITES: ClassVar[tuple[Site, ...]] = SITES
    LOSABLE: ClassVar[bool] = False

    contexts: tuple[Name, ...]
    devices: dict[Name, Vdev]
    files: dict[int, File] = field(default_factory=dict)
    locks: dict[str, list[Call]] = field(default_factory=dict)
    tasks: dict[Call, Task] = field(default_factory=dict)

    @classmethod
    def of(cls, machine: Machine, _name: Name) -> Self:
        """No file is open."""
        mine = [one for one in machine.devices if one.driver in VFIO_DRIVERS]
        devices = {
            one.name: Vdev(one.name, machine.group_of(one.name), one.driver == VFIO_PCI)
            for one in mine
        }
        return cls(machine.contexts, devices)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """A call becomes a task; an answer, or its turn, lets one go on."""
        match message:
            case Start() | HostLost():
                pass  # A device that has gone stays its user's until the file is closed.
            case Done() | Refused() | ObjectGot() | PtGot():
                self.on_answer(message, out)
            case OpenCdev():
                task = self.new_task(message, sender)
                self.open(task, message, out)
                self.go_on(task, out)
            case _:
                self.on_file(message, sender, out)

    def on_file(self, request: OnFile, sender: Name, out: Out) -> None:
        """What a user does with a file: EBADF when it is closed, or being closed."""
        task = self.new_task(request, sender)
        file = self.files.get(request.file)
        if file is None or file.closer:
            task.fail(Errno.EBADF)
        elif isinstance(request, CloseCdev):
            file.closer, task.file, task.device = task.number, request.file, file.device
            task.then(Do.CLOSE, Do.RELEASE)
            if file.calls:
                return  # The last of them goes on with it.
        else:
            file.calls += 1
            task.file, task.device = request.file, file.device
            self.begin(task, request, file)
        self.go_on(task, out)

    def begin(
        self, task: Task, request: BindIommufd | AttachIommufdPt | DetachIommufdPt, file: File
    ) -> None:
        """Arguments first; what is right about them needs the lock."""
        match request:
            case BindIommufd():
                errno = self.bind_refusal(request, file)
                steps = (Do.LOCK, Do.BIND)
            case AttachIommufdPt():
                errno = self.attach_refusal(request, file)
                steps = (Do.LOCK, Do.ATTACH)
            case _:
                errno = self.detach_refusal(request, file)
                steps = (Do.LOCK, Do.DETACH)
        if errno is not None:
            task.fail(errno)
        else:
            task.then(*steps)

    def new_task(self, request: Request, sender: Name) -> Task:
        """With the smallest number that no task has (§1.6)."""
        number = 1
        while number in self.tasks:
            number += 1
        self.tasks[number] = Task(number, sender, request, [Do.END])
        return self.tasks[number]

    def on_answer(self, answer: Answer, out: Out) -> None:
        """What a task asked outwards has been answered."""
        task = self.tasks[answer.call]
        match answer:
            case Refused() if task.todo[-1] in MAY_FAIL:
                task.errno = answer.errno
            case ObjectGot():
                task.got = answer.id
            case PtGot():
                task.got = answer.pt
            case _:
                pass  # A reset, a detach, an unbind: they go on whatever is said of them.
        self.go_on(task, out)

    def go_on(self, task: Task, out: Out) -> None:
        """Step by step, until it waits."""
        while task.todo and STEPS[task.todo.pop()](self, task, out):
            pass

    def vdev(self, task: Task) -> Vdev:
        """The device of a call on a file."""
        return self.devices[task.device]

    def answer(self, task: Task) -> AnyMessage:
        """With what was asked for."""
        call = task.request.call
        if task.errno is not None:
            return Refused(call, task.errno)
        match task.request:
            case OpenCdev():
                return CdevGot(call, task.file)
            case BindIommufd():
                return ObjectGot(call, task.got)
            case AttachIommufdPt():
                return PtGot(call, task.got)
            case _:
                return Done(call)

    lock = locking.lock
    unlock = locking.unlock
    open = binding.open_file
    bind_refusal = binding.bind_refusal
    bind = binding.bind
    attach_refusal = attaching.attach_refusal
    detach_refusal = attaching.detach_refusal
    attach = attaching.attach
    attached = attaching.attached
    take_back = attaching.take_back
    undo = attaching.undo
    note = attaching.note
    forget = attaching.forget
    next_left = closing.next_left
