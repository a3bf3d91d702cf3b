"""O16: nothing is replayed, so who comes late holds nothing of what there is already (S23)."""

from typing import ClassVar

from protocol.facts import Event, NotifierRegistered, PasidAllocated, PasidReclaimed
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, when


class RegisteredBeforeTheFirstPasid:
    """A subscriber of an mm is registered while the mm's set has no PASID."""

    name: ClassVar[str] = "registered-before-the-first-pasid"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "O16"
    source: ClassVar[str] = "v3 01/14 ioasid.rst, ioasid_register_notifier_mm"
    observes: ClassVar[tuple[type[Event], ...]] = (
        PasidAllocated,
        PasidReclaimed,
        NotifierRegistered,
    )

    def __init__(self, machine: Machine) -> None:
        self.tokens: dict[int, Name] = {}
        """Of each set with a PASID, whose it is."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PasidAllocated:
            self.tokens[fact.set] = fact.token
        elif type(fact) is PasidReclaimed:
            if fact.set_count == 0:
                self.tokens.pop(fact.set, None)
        elif type(fact) is NotifierRegistered and fact.token and fact.token in self.tokens.values():
            return (
                f"{fact.subscriber} was registered for {fact.token} at {when(record.stamp)}, "
                f"which has PASIDs already"
            )
        return None

    def unmet(self) -> list[Owed]:
        return []
