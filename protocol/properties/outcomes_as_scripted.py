"""A script says what each step must answer, as a litmus test does."""

from typing import ClassVar

from protocol.facts import Event, OpFail, OpInfo, OpOk
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import Kind, Owed, when


class OutcomesAsScripted:
    """Every operation of a script ends as the script expects."""

    name: ClassVar[str] = "outcomes-as-scripted"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "the experiment's own script; protocol/README.md §7.1"
    observes: ClassVar[tuple[type[Event], ...]] = (OpOk, OpFail, OpInfo)

    def __init__(self, machine: Machine) -> None:
        """It remembers nothing."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is OpOk and not fact.met:
            how = "ok"
        elif type(fact) is OpFail and not fact.met:
            how = fact.errno
        elif type(fact) is OpInfo and not fact.met:
            how = "info"
        else:
            return None
        return (
            f"operation {fact.op} of {record.stamp.actor}, {fact.operation}, ended in {how} "
            f"at {when(record.stamp)}, expected {fact.expected}"
        )

    def unmet(self) -> list[Owed]:
        return []
