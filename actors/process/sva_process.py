"""A process of a modern kernel that uses accelerators by SVA: threads, files, and its mms.

Its mm is there before its PASID, which the SVA core gives it at the first bind, and outlives it as
long as anybody holds the struct.  fork and exec begin with a new mm, that has none; threads share
one, and each gets the number into its IA32_PASID when it first needs it.

Kernel: kernel/{fork,exit}.c, fs/exec.c, mm/mmu_notifier.c, arch/x86/kernel/traps.c, 7.3.  §8.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final, Self, TypeAlias

from actors.process import sva_exec, sva_exit, sva_mm, sva_msr, sva_script, sva_submit
from actors.process.state import EXIT, NOT_BUSY, Phase
from actors.process.sva_state import FIRST_THREAD, Fd, Grace, Mm, TakeDown, Task, Thread
from protocol.effects import Out, Site
from protocol.facts.accelerators import MmMade
from protocol.machine import Machine
from protocol.messages import (
    DescriptorDone,
    Done,
    EnqcmdWriteGot,
    HostLost,
    Kill,
    Refused,
    Start,
    TimerFired,
)
from protocol.messages.accelerators import BeginChild, MmPasidGot, OpenDeviceGot
from protocol.names import Call, Name
from protocol.plan import Plan

Inbox: TypeAlias = (
    Start
    | HostLost
    | TimerFired
    | BeginChild
    | Kill
    | Done
    | Refused
    | OpenDeviceGot
    | MmPasidGot
    | EnqcmdWriteGot
    | DescriptorDone
    | sva_mm.Request
)

IDLE: Final = Plan()


@dataclass(slots=True)
class SvaProcess:
    """`mm` is the one it lives in, `mms` all whose struct is there, `threads` those that live.

    At most one operation is waited for, `busy`; `async` ones run beside it.  `down` is an address
    space on its way out, `graces` notifiers that were put, `drops` mms whose last call is awaited.
    """

    SITES: ClassVar[tuple[Site, ...]] = (sva_mm.NOMEM_NOTIFIER,)
    LOSABLE: ClassVar[bool] = False

    name: Name
    doors: dict[Name, Name]
    dedicated: tuple[Name, ...]
    plan: Plan = IDLE
    phase: Phase = Phase.UNBORN
    mm: Name = ""
    mms: dict[Name, Mm] = field(default_factory=dict)
    threads: dict[int, Thread] = field(default_factory=dict)
    born: int = 0
    files: list[Fd] = field(default_factory=list)
    tasks: dict[Call, Task] = field(default_factory=dict)
    busy: Call = NOT_BUSY
    invoked: int = 0
    position: int = 0
    faulted: int = 0
    execs: int = 0
    down: TakeDown | None = None
    graces: dict[int, Grace] = field(default_factory=dict)
    drops: dict[Call, Name] = field(default_factory=dict)
    lost: list[Name] = field(default_factory=list)

    @classmethod
    def of(cls, machine: Machine, name: Name, plan: Plan = IDLE) -> Self:
        """The process before its first instruction."""
        ours = [one for one in machine.devices if one.driver in ("uacce", "idxd")]
        doors = {one.name: machine.door_of(one.name) for one in ours}
        dedicated = tuple(one.name for one in ours if one.wq == "dedicated")
        return cls(name, doors, dedicated, plan)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """The process's table of contents; at the end it does what need not wait."""
        match message:
            case Done() | Refused() | OpenDeviceGot() | MmPasidGot():
                self.on_answer(message, out)
            case EnqcmdWriteGot():
                sva_submit.on_retired(self, self.tasks[message.call], message, out)
            case DescriptorDone():
                sva_submit.on_descriptor_done(self, message, out)
            case Start():
                if not self.plan.forked:
                    self.begin("start", out)
            case BeginChild():
                self.on_begin_child(message, out)
            case Kill():
                sva_exit.die(self, out)
            case TimerFired():
                self.on_timer_fired(message, out)
            case HostLost():
                sva_submit.on_host_lost(self, message, out)
            case _:
                sva_mm.on_request(self, message, sender, out)
        sva_script.go_on(self, out)
        sva_exit.go_on(self, out)

    def begin(self, why: str, out: Out) -> None:
        """One thread, in an mm that has no PASID."""
        self.phase, self.mm, self.born = Phase.RUN, self.name, FIRST_THREAD
        self.mms[self.name] = Mm()
        self.threads[FIRST_THREAD] = Thread()
        out.record(MmMade(self.name, self.mm, why))

    def on_begin_child(self, begin: BeginChild, out: Out) -> None:
        """With the descriptors, and without a mapping of a portal (VM_DONTCOPY)."""
        if self.phase is not Phase.UNBORN:
            return  # There is one of it: a script that forks it twice means the same child.
        by_door = {door: device for device, door in self.doors.items()}
        pairs = zip(begin.doors, begin.files, strict=True)
        self.files = [Fd(by_door[door], door, file) for door, file in pairs]
        self.begin("fork", out)

    def on_timer_fired(self, timer: TimerFired, out: Out) -> None:
        """A CPU has switched to another mm, or a grace period is over."""
        kind, _, which = timer.timer.partition(":")
        if kind == sva_mm.GRACE:
            self.graces[int(which)].over = True
            sva_mm.end_graces(self, out)
        else:
            self.drop(which, out)

    def on_answer(self, answer: Done | Refused | OpenDeviceGot | MmPasidGot, out: Out) -> None:
        """Of an address space on its way out, of an mm that is freed, or of an operation."""
        if answer.call == EXIT:
            sva_exit.on_answer(self, out)
        elif answer.call in self.drops:
            sva_mm.freed(self, answer.call, out)
        elif isinstance(answer, MmPasidGot):
            sva_msr.on_mm_pasid_got(self, self.tasks[answer.call], answer, out)
        elif answer.call in self.tasks:
            sva_script.on_answer(self, self.tasks[answer.call], answer, out)
        else:
            raise AssertionError(f"{answer} answers nothing")

    # --- Rules, one method each -------------------------------------------------------------------

    drop = sva_mm.drop
    struct_gone = sva_mm.struct_gone
    address_space_gone = sva_mm.address_space_gone
    hold_notifier = sva_mm.hold_notifier
    drop_notifier = sva_mm.drop_notifier
    mend_gp = sva_msr.mend_gp
    thread_gone = sva_msr.thread_gone
    file_bound = sva_msr.file_bound
    file_closed = sva_msr.file_closed
    release = sva_exit.release
    forget_msr = sva_exec.forget_msr
    parent_of = sva_exec.parent_of
