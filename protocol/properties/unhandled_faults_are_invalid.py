"""I25: whoever asks for what nobody handles is told so; without an answer it keeps a credit."""

from typing import ClassVar, TypeAlias

from protocol.facts import Event
from protocol.facts.iopf import FaultAnswered, FaultUnhandled
from protocol.history import Record
from protocol.machine import Machine
from protocol.messages import ResponseCode
from protocol.names import IOPF, Name, Pasid
from protocol.properties.property import Kind, Owed, Since, since, when

Asked: TypeAlias = tuple[Name, Pasid, int]


class UnhandledFaultsAreInvalid:
    """A page request without a handler is answered INVALID: not dropped, not tried again."""

    name: ClassVar[str] = "unhandled-faults-are-invalid"
    kind: ClassVar[Kind] = Kind.EVENTUALLY
    invariant: ClassVar[str] = "I25"
    source: ClassVar[str] = "Linux 7.3 io-pgfault.c, iopf_error_response; bc1f5ec826bf"
    observes: ClassVar[tuple[type[Event], ...]] = (FaultUnhandled, FaultAnswered)

    def __init__(self, machine: Machine) -> None:
        self.unhandled: dict[Asked, Since] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is FaultUnhandled:
            self.unhandled[fact.device, fact.pasid, fact.group] = since(record.stamp)
        elif type(fact) is FaultAnswered:
            asked = (fact.device, fact.pasid, fact.group)
            if self.unhandled.pop(asked, None) and fact.code != ResponseCode.INVALID:
                return (
                    f"page group {fact.group} of {fact.device} has no handler and was answered "
                    f"with code {fact.code} at {when(record.stamp)}"
                )
        return None

    def unmet(self) -> list[Owed]:
        return [
            Owed(f"page group {group} of {device} has no handler and no answer", begun, (IOPF,))
            for (device, _, group), begun in self.unhandled.items()
        ]
