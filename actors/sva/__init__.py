"""The SVA core: bonds of a device's group and an mm, under one global lock.

An mm has one PASID from its first bind to the end of its struct, and a domain for each kind of
IOMMU that it is bound behind.  A bond is shared by all binds of its pair: the last unbind ends it.
Calls wait for the lock in the order of asking; what is under way inside is a task.

Kernel: drivers/iommu/iommu-sva.c of Linux 7.3.  §8 (S01 to S10, S16, S25).
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self, TypeAlias, assert_never

from actors.sva import binding, failing, kva, spaces, unbinding
from actors.sva.state import (
    LOCK,
    NOMEM_HANDLE,
    NOMEM_MM,
    Asked,
    Bind,
    Bond,
    Drop,
    Got,
    Holder,
    Kva,
    Locked,
    Mm,
    Task,
    Unbind,
    groups_of,
    name_of,
)
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.facts import LockReleased, LockTaken, LockWaited, ThreadEntered
from protocol.machine import Machine
from protocol.messages.accelerators import GetMmPasid, InitMmPasid
from protocol.messages.address_spaces import InvalidateKva
from protocol.messages.common import Done, HostLost, Refused, Start
from protocol.messages.sva import (
    EnableLam,
    ForceTaggedSva,
    MmPasidDrop,
    SvaBindDevice,
    SvaGetPasid,
    SvaGetPasidGot,
    SvaUnbindDevice,
)
from protocol.names import INVALID_PASID, Call, Name, Pasid

Inbox: TypeAlias = Start | HostLost | Locked | SvaGetPasid | spaces.Unlocked | Done | Refused | Got


@dataclass(slots=True)
class Sva:
    """`groups` and `limits` (max_pasids) by device; `holder` has the lock, `waiting` wait for it.

    `present`: some mm has a domain, so page tables of the kernel must be flushed from devices.
    """

    SITES: ClassVar[tuple[Site, ...]] = (NOMEM_MM, NOMEM_HANDLE)
    LOSABLE: ClassVar[bool] = False

    groups: dict[Name, Name]
    limits: dict[Name, Pasid]
    mms: dict[Name, Mm] = field(default_factory=dict)
    bonds: dict[Name, Bond] = field(default_factory=dict)
    tasks: dict[Call, Task] = field(default_factory=dict)
    holder: Call | None = None
    waiting: list[Asked] = field(default_factory=list)
    present: bool = False

    @classmethod
    def of(cls, machine: Machine, _name: Name) -> Self:
        """Nobody is bound."""
        return cls(groups_of(machine), {one.name: one.pasids for one in machine.devices})

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """Binds and unbinds take the lock, and the next one has it when it is let go."""
        match message:
            case Start() | HostLost():
                pass  # An mm outlives its process as long as somebody is bound to it.
            case SvaBindDevice() | SvaUnbindDevice():
                self.on_locked(message, sender, out)
            case SvaGetPasid():
                self.on_sva_get_pasid(message, sender, out)
            case InvalidateKva():
                self.on_invalidate_kva(message, sender, out)
            case MmPasidDrop() | EnableLam() | ForceTaggedSva() | InitMmPasid() | GetMmPasid():
                spaces.on_unlocked(self, message, sender, out)
            case _:
                self.on_answer(message, out)
        while self.holder is None and self.waiting:
            self.begin(self.waiting.pop(0), out)

    def on_locked(self, request: Locked, sender: Name, out: Out) -> None:
        """It waits for its turn, unless it can be refused without."""
        errno = self.early_refusal(request)
        if errno is not None:
            out.send(sender, Refused(request.call, errno))
            return
        if self.holder is not None:
            out.record(LockWaited(LOCK, "mutex", f"{sender}/{request.call}"))
        self.waiting.append(Asked(sender, request))

    def early_refusal(self, request: Locked) -> Errno | None:
        """What bind looks at without the lock."""
        if isinstance(request, SvaBindDevice) and request.device not in self.groups:
            return Errno.ENODEV
        return None

    def begin(self, asked: Asked, out: Out) -> None:
        """It has the lock now."""
        request = asked.request
        number = self.number_for(request)
        match request:
            case SvaBindDevice():
                bind = Bind(number, asked.sender, request)
                self.take(bind, out)
                self.begin_bind(bind, out)
            case SvaUnbindDevice():
                unbind = Unbind(number, asked.sender, request)
                self.take(unbind, out)
                self.begin_unbind(unbind, out)
            case InvalidateKva():
                self.begin_kva(Kva(number, asked.sender, request), out)
            case MmPasidDrop():
                self.on_mm_pasid_drop(request, asked.sender, out)
            case _:
                raise AssertionError("nothing else waits for the lock")

    def take(self, task: Holder, out: Out) -> None:
        """The lock is free, and the task's."""
        self.tasks[task.number], self.holder = task, task.number
        out.record(LockTaken(LOCK, "mutex", name_of(task)))
        out.record(ThreadEntered(str(task.number), name_of(task)))

    def number_for(self, _request: object) -> Call:
        """The smallest that no task has."""
        return next(number for number in range(len(self.tasks) + 1) if number not in self.tasks)

    def end(self, task: Holder, out: Out) -> None:
        """The lock is free, and the task is over."""
        del self.tasks[task.number]
        self.holder = None
        out.record(LockReleased(LOCK, "mutex", name_of(task)))

    def on_answer(self, answer: Done | Refused | Got, out: Out) -> None:
        """The task that asked goes on."""
        task = self.tasks[answer.call]
        match task:
            case Bind():
                self.go_on_binding(task, answer, out)
            case Unbind():
                self.go_on_unbinding(task, out)
            case Kva():
                self.go_on_flushing(task, out)
            case Drop():
                del self.tasks[task.number]
                spaces.dropped(task, out)
            case _:
                assert_never(task)

    def on_sva_get_pasid(self, get: SvaGetPasid, sender: Name, out: Out) -> None:
        """The number is the mm's; a handle that is no more is not noticed by anybody."""
        bond = self.bonds.get(get.handle)
        if bond is None:
            self.misused("asked a freed handle", get, sender, out)
            return
        mm = self.mms.get(bond.mm, Mm())
        out.send(sender, SvaGetPasidGot(get.call, mm.pasid or INVALID_PASID))

    misused = unbinding.misused
    begin_bind = binding.begin_bind
    go_on_binding = binding.go_on_binding
    handle_for = binding.handle_for
    mm_refusal = binding.mm_refusal
    may_share = binding.may_share
    share = binding.share
    make_bond = binding.make_bond
    fail = failing.fail
    free_handle = failing.free_handle
    begin_unbind = unbinding.begin_unbind
    go_on_unbinding = unbinding.go_on_unbinding
    unlink_and_free = unbinding.unlink_and_free
    end_unbind = unbinding.end_unbind
    on_mm_pasid_drop = spaces.on_mm_pasid_drop
    on_enable_lam = spaces.on_enable_lam
    on_force_tagged_sva = spaces.on_force_tagged_sva
    begin_mm = spaces.begin_mm
    on_invalidate_kva = kva.on_invalidate_kva
    begin_kva = kva.begin_kva
    go_on_flushing = kva.go_on_flushing
    give_pasid = spaces.give_pasid
    give_back = spaces.give_back
    link = spaces.link
    unlink = spaces.unlink
    hold = spaces.hold
    let_go = spaces.let_go
    may_drop = spaces.may_drop
