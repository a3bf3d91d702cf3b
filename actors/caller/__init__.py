"""A thread inside a modern kernel that calls its functions directly, one after the other (§8).

It stands for whoever the kernel has for that: a driver, a test module, an ioctl.  What a call says
is its script's affair, right or wrong; what it answers is held against what the script expects.

Kernel: none; `protocol.calls` has what can be called.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final, Self, TypeAlias

from actors.caller import arguments
from actors.caller.arguments import Got
from protocol.calls import AT, CALLS
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.facts import OpFail, OpInvoked, OpOk
from protocol.machine import Machine
from protocol.messages import DescriptorDone, Done, HostLost, Refused, Start
from protocol.messages.address_spaces import HandleMmFault
from protocol.names import Call, Name
from protocol.plan import Plan, Step

Inbox: TypeAlias = Start | HostLost | Done | Refused | Got | DescriptorDone | HandleMmFault
CALL: Final[Call] = 1
"""One call at a time: a thread waits for its answer."""
OK: Final = "ok"
IDLE: Final = Plan()


@dataclass(slots=True)
class Caller:
    """`position` steps have begun; the last of them is `waiting` for its answer.

    `values`: what earlier calls got, by variable.  Who is `gone` answers no more: ENODEV.
    """

    SITES: ClassVar[tuple[Site, ...]] = ()
    LOSABLE: ClassVar[bool] = False

    name: Name
    plan: Plan = IDLE
    position: int = 0
    waiting: bool = False
    values: dict[str, Got] = field(default_factory=dict)
    gone: list[Name] = field(default_factory=list)

    @classmethod
    def of(cls, _machine: Machine, name: Name, plan: Plan = IDLE) -> Self:
        """The thread before its first call."""
        return cls(name, plan)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """An answer ends a step, and the next one begins."""
        match message:
            case Start():
                self.go_on(out)
            case HostLost():
                self.gone.append(message.name)
                if self.waiting and message.name == self.whom():
                    self.end(Refused(CALL, Errno.ENODEV), out)
            case DescriptorDone():
                pass  # It waits for no completion record.
            case HandleMmFault():
                out.send(sender, Done(message.call))  # As an mm it has every page.
            case Done() | Refused():
                self.end(message, out)
            case _:
                self.end(message, out)

    def go_on(self, out: Out) -> None:
        """The next call of the script."""
        if self.waiting or self.position == len(self.plan.steps):
            return
        step = self.plan.steps[self.position]
        self.position += 1
        self.waiting = True
        pasid, incarnation = arguments.pasid_of(step, self.values)
        device = dict(step.arguments).get("device", "")
        out.record(OpInvoked(self.position, step.operation, pasid, incarnation, device))
        if self.whom() in self.gone:
            self.end(Refused(CALL, Errno.ENODEV), out)
            return
        out.send(self.whom(), arguments.message_of(step, self.values, CALL))

    def whom(self) -> Name:
        """Who answers the step that has begun last."""
        step = self.plan.steps[self.position - 1]
        return CALLS[step.operation].whom(self.name, dict(step.arguments).get(AT, ""))

    def end(self, answer: Done | Refused | Got, out: Out) -> None:
        """Success, or an errno; the variable has what it got."""
        step = self.plan.steps[self.position - 1]
        self.waiting = False
        match answer:
            case Refused():
                self.state_outcome(step, answer.errno.value, out)
            case Done():
                self.state_outcome(step, OK, out)
            case _:
                if step.variable:
                    self.values[step.variable] = answer
                self.state_outcome(step, self.outcome_of(step, answer), out)
        self.go_on(out)

    def outcome_of(self, step: Step, got: Got) -> str:
        """The value, as the script would write it, if it wants one; else that it went well."""
        values = [text for text in step.expect if arguments.is_value(text)]
        for wanted in values:
            if arguments.is_met(wanted, got, self.values):
                return wanted
        return arguments.text_of(got) if values else OK

    def state_outcome(self, step: Step, outcome: str, out: Out) -> None:
        """One fact, in Jepsen's words."""
        op, operation, wanted = self.position, step.operation, step.expect
        expected = wanted[0] if len(wanted) == 1 else f"any({', '.join(wanted)})" if wanted else ""
        met = not wanted or outcome in wanted
        if outcome == OK or arguments.is_value(outcome):
            out.record(OpOk(op, operation, expected, met))
        else:
            out.record(OpFail(op, operation, outcome, expected, met))
