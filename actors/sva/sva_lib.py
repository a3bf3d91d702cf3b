"""The SVA library of 5.18 to 6.1: a PASID for an mm out of the IOASID core, and the mm of a PASID.

Nothing is bound here.  An mm gets its PASID once, and keeps it until its struct goes.  The IOASID
core takes `max` for the last number of the range; the check of a PASID that is there does not.

Kernel: drivers/iommu/iommu-sva-lib.c, mm_pasid_drop of Linux 6.1.  §8.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final, Self, TypeAlias

from msgspec import Struct

from actors.sva.state import LOCK
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.facts.software import LockReleased, LockTaken, LockWaited
from protocol.facts.sva import SvaPasidDropped, SvaPasidGiven
from protocol.machine import Machine
from protocol.messages.allocator import AllocPasidWithData, FindPasidWithGetter
from protocol.messages.common import Done, HostLost, Refused, Start
from protocol.messages.core import AllocPasidGot, FindPasidGot, FreePasid
from protocol.messages.sva import MmPasidDrop, SvaAllocPasid, SvaFind, SvaFindGot
from protocol.names import CORE, INVALID_PASID, NO_DATA, Call, Incarnation, Name, Pasid

IOMMU_SVA_PASID: Final = 1
"""The IOASID set of all mms."""
GETTER: Final[Name] = "mmget_not_zero"
"""Whom the core asks whether the mm that it has found still has users."""

Request: TypeAlias = SvaAllocPasid | SvaFind | MmPasidDrop
Answer: TypeAlias = Done | Refused | AllocPasidGot | FindPasidGot
Inbox: TypeAlias = Start | HostLost | Request | Answer


class Task(Struct):
    """A request that has asked the core; an allocation has the lock meanwhile."""

    number: Call
    sender: Name
    request: Request

    @property
    def title(self) -> str:
        """As the facts about the lock have it."""
        return f"{self.sender}:{self.request.call}"


class Life(Struct, frozen=True):
    """The PASID that an mm has."""

    pasid: Pasid
    incarnation: Incarnation


@dataclass(slots=True)
class SvaLibrary:
    """`processes` in the order of their addresses: private data is a place in it, from 1.

    `lives` by mm; `holder` has the lock, `waiting` wait for it.
    """

    SITES: ClassVar[tuple[Site, ...]] = ()
    LOSABLE: ClassVar[bool] = False

    processes: tuple[Name, ...]
    lives: dict[Name, Life] = field(default_factory=dict)
    tasks: dict[Call, Task] = field(default_factory=dict)
    holder: Call | None = None
    waiting: list[Task] = field(default_factory=list)

    @classmethod
    def of(cls, machine: Machine, _name: Name) -> Self:
        """No mm has a PASID."""
        return cls(machine.processes)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """Only an allocation takes the lock."""
        match message:
            case Start() | HostLost():
                pass  # An mm outlives its process.
            case SvaAllocPasid():
                self.on_sva_alloc_pasid(message, sender, out)
            case SvaFind():
                find = FindPasidWithGetter(
                    self.new_task(message, sender).number, IOMMU_SVA_PASID, message.pasid, GETTER
                )
                out.send(CORE, find)
            case MmPasidDrop():
                self.on_mm_pasid_drop(message, sender, out)
            case _:
                self.on_answer(message, out)
        while self.holder is None and self.waiting:
            self.begin(self.waiting.pop(0), out)

    def new_task(self, request: Request, sender: Name) -> Task:
        """One that asks the core now."""
        task = Task(self.number_for(request), sender, request)
        self.tasks[task.number] = task
        return task

    def number_for(self, _request: Request) -> Call:
        """The smallest that no task has."""
        return next(number for number in range(len(self.tasks) + 1) if number not in self.tasks)

    def on_sva_alloc_pasid(self, alloc: SvaAllocPasid, sender: Name, out: Out) -> None:
        """EINVAL without the lock."""
        if alloc.min == 0 or alloc.max < alloc.min or INVALID_PASID in (alloc.min, alloc.max):
            out.send(sender, Refused(alloc.call, Errno.EINVAL))
            return
        task = Task(-1, sender, alloc)
        if self.holder is not None:
            out.record(LockWaited(LOCK, "mutex", task.title))
        self.waiting.append(task)

    def begin(self, task: Task, out: Out) -> None:
        """It has the lock; that the mm has a PASID already is answered at once."""
        alloc = task.request
        assert isinstance(alloc, SvaAllocPasid), "nothing else waits for the lock"
        out.record(LockTaken(LOCK, "mutex", task.title))
        life = self.lives.get(alloc.mm)
        if life is not None:
            fits = self.fits(life.pasid, alloc)
            out.record(LockReleased(LOCK, "mutex", task.title))
            refused = Refused(alloc.call, Errno.EOVERFLOW)
            out.send(task.sender, Done(alloc.call) if fits else refused)
            return
        task = self.new_task(alloc, task.sender)
        self.holder = task.number
        data = self.processes.index(alloc.mm) + 1
        wanted = AllocPasidWithData(task.number, IOMMU_SVA_PASID, alloc.min, alloc.max, data)
        out.send(CORE, wanted)

    def fits(self, pasid: Pasid, alloc: SvaAllocPasid) -> bool:
        """Here the range ends before `max`, although the core may have given just that."""
        return alloc.min <= pasid < alloc.max

    def on_mm_pasid_drop(self, drop: MmPasidDrop, sender: Name, out: Out) -> None:
        """The last reference to the struct has gone: without the lock."""
        life = self.lives.pop(drop.mm, None)
        if life is None:
            out.send(sender, Done(drop.call))
            return
        out.record(SvaPasidDropped(drop.mm, life.pasid, life.incarnation))
        number = self.new_task(drop, sender).number
        out.send(CORE, FreePasid(number, IOMMU_SVA_PASID, life.pasid, life.incarnation))

    def on_answer(self, answer: Answer, out: Out) -> None:
        """What the core says is what the caller gets, but for a range that is full."""
        task = self.tasks.pop(answer.call)
        call = task.request.call
        match task.request, answer:
            case SvaAllocPasid(mm=mm), AllocPasidGot():
                self.lives[mm] = Life(answer.pasid, answer.incarnation)
                out.record(SvaPasidGiven(mm, answer.pasid, answer.incarnation))
                out.send(task.sender, Done(call))
            case SvaAllocPasid(), _:
                out.send(task.sender, Refused(call, Errno.ENOMEM))
            case _, FindPasidGot(data=data):
                mm = "" if data == NO_DATA else self.processes[data - 1]
                out.send(task.sender, SvaFindGot(call, mm))
            case _, Refused(errno=errno):
                out.send(task.sender, Refused(call, errno))
            case _:
                out.send(task.sender, Done(call))
        if self.holder == task.number:
            self.holder = None
            out.record(LockReleased(LOCK, "mutex", task.title))
