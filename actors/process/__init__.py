"""A process of the host that uses accelerators by native SVA, and its mm.

What a task does in user mode is its script; the rest is the kernel's: the mm, which outlives the
process as long as anybody pins it, and do_exit, which takes the address space down before it closes
the files.  It is not lost as a guest is: what a killed process leaves behind the kernel cleans up,
and that is part of it (`Kill`).

Kernel: kernel/fork.c, kernel/exit.c, arch/x86 (IA32_PASID).  §4.10, §7.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final, Self, TypeAlias, assert_never

from actors.process import ia32_pasid, memory, script, submit, way_out
from actors.process.state import EXIT, NOT_BUSY, Mm, Msr, Operation, Phase
from protocol.effects import Out, Site
from protocol.machine import Machine
from protocol.messages import (
    AssignPasid,
    DescriptorDone,
    Done,
    EnqcmdWriteGot,
    FlushFaults,
    Forked,
    HostLost,
    Kill,
    LoadMsr,
    PageRequestReport,
    PinMm,
    Refused,
    RegisterMmNotifier,
    Start,
    TimerFired,
    UnpinMm,
    UnregisterMmNotifier,
)
from protocol.names import Call, Name
from protocol.plan import Plan

Inbox: TypeAlias = (
    Start
    | HostLost
    | TimerFired
    | Forked
    | Kill
    | Done
    | Refused
    | EnqcmdWriteGot
    | DescriptorDone
    | memory.Request
)

IDLE: Final = Plan()


@dataclass(slots=True)
class Process:
    """At most one operation is waited for, `busy`; those that are `async` run beside it.

    `mapped` are the devices whose portal is mapped; `clearing` waits for an ENQCMD on its way.
    """

    SITES: ClassVar[tuple[Site, ...]] = ()
    LOSABLE: ClassVar[bool] = False

    name: Name
    devices: tuple[Name, ...]
    dedicated: tuple[Name, ...]
    plan: Plan = IDLE
    phase: Phase = Phase.UNBORN
    mm: Mm = field(default_factory=Mm)
    msr: Msr | None = None
    tasks: dict[Call, Operation] = field(default_factory=dict)
    busy: Call = NOT_BUSY
    invoked: int = 0
    position: int = 0
    faulted: int = 0
    mapped: list[Name] = field(default_factory=list)
    clearing: list[tuple[Name, Call]] = field(default_factory=list)

    @classmethod
    def of(cls, machine: Machine, name: Name, plan: Plan = IDLE) -> Self:
        """The process before its first instruction."""
        dedicated = tuple(device.name for device in machine.devices if device.wq == "dedicated")
        return cls(name, tuple(device.name for device in machine.devices), dedicated, plan)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """The process's table of contents; at the end it does what need not wait."""
        match message:
            case Done() | Refused():
                self.on_answer(message, out)
            case EnqcmdWriteGot():
                submit.on_retired(self, self.tasks[message.call], message, out)
            case DescriptorDone():
                submit.on_descriptor_done(self, message, out)
            case PinMm() | UnpinMm() | AssignPasid() | RegisterMmNotifier():
                memory.on_request(self, message, sender, out)
            case UnregisterMmNotifier() | LoadMsr() | FlushFaults() | PageRequestReport():
                memory.on_request(self, message, sender, out)
            case Start():
                self.phase = Phase.UNBORN if self.plan.forked else Phase.RUN
            case Forked():
                self.phase = Phase.RUN
            case Kill():
                way_out.die(self, out)
            case TimerFired():
                memory.drop(self, out)  # The CPU that kept the struct has switched to another mm.
            case HostLost():
                pass  # Nobody whom a process asks can be lost alone.
            case _:
                assert_never(message)
        script.go_on(self, out)
        way_out.go_on(self, out)

    def on_answer(self, answer: Done | Refused, out: Out) -> None:
        """Of do_exit, of an operation, or of what nobody waits for."""
        if answer.call == EXIT:
            way_out.on_answer(self, out)
        elif answer.call in self.tasks:
            script.on_answer(self, self.tasks[answer.call], answer, out)

    # --- Rules, one method each -------------------------------------------------------------------

    def msr_for_enqcmd(self, _out: Out) -> Msr | None:
        """What ENQCMD finds in IA32_PASID; None: #GP."""
        return self.msr

    task_gone = ia32_pasid.task_gone
    release = way_out.release
    notifier_left = memory.notifier_left
    pin = memory.pin
    unpin = memory.unpin
    struct_gone = memory.struct_gone
    address_space_gone = memory.address_space_gone
