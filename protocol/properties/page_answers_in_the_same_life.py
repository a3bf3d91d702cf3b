"""N2: an answer from the number's next owner, for an address of the one before (S12)."""

from typing import ClassVar

from protocol.facts import Event, PageAnswered
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import Kind, Owed, named, when


class PageAnswersInTheSameLife:
    """A page request is answered by the life of the PASID that raised it, or by nobody's."""

    name: ClassVar[str] = "page-answers-in-the-same-life"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N2"
    source: ClassVar[str] = "T. Gleixner on x86/mmu PASID allocation; VT-d specification 5.10, 7.11"
    observes: ClassVar[tuple[type[Event], ...]] = (PageAnswered,)

    def __init__(self, machine: Machine) -> None:
        """It remembers nothing."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PageAnswered:
            answerer = fact.answerer
            life = fact.incarnation
            if answerer not in (0, life):
                return (
                    f"page group {fact.group} of {fact.device}, raised by "
                    f"{named(fact.pasid, life)}, was answered with code {fact.code} "
                    f"by life {answerer} at {when(record.stamp)}"
                )
        return None

    def unmet(self) -> list[Owed]:
        return []
