"""N18: whoever frees has nothing else to try, and cannot wait for those who hold."""

from typing import ClassVar, Final

from protocol.facts import Event, FreeAnswered, FreeRequested
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import CORE, Incarnation, Name, Pasid
from protocol.properties.property import Kind, Owed, Since, named, since, when

AT_ONCE: Final = ("FreePasid", "FreeAllInSet", "NotifyReply", "HostLost")
"""In the call itself, or (as posted) when the chain has run; not when a holder has put.

A chain has run, too, when the last subscriber on it was lost: BAD is taken from him (§1.9).
"""


class FreeAnsweredAtOnce:
    """Every free succeeds, and waits for no holder's put."""

    name: ClassVar[str] = "free-answered-at-once"
    kind: ClassVar[Kind] = Kind.EVENTUALLY
    invariant: ClassVar[str] = "N18"
    source: ClassVar[str] = "J. Pan on get and put, Apr 2020; v3 01/14 and V4 ioasid.rst"
    observes: ClassVar[tuple[type[Event], ...]] = (FreeRequested, FreeAnswered)

    def __init__(self, machine: Machine) -> None:
        self.waiting: dict[tuple[Name, Pasid], tuple[Incarnation, int, Since]] = {}
        """Who frees what: the life, how many such calls, since when."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is FreeRequested:
            life, count, begun = self.waiting.get(
                (fact.by, fact.pasid), (fact.incarnation, 0, since(record.stamp))
            )
            self.waiting[fact.by, fact.pasid] = (life, count + 1, begun)
        elif type(fact) is FreeAnswered:
            waiting = self.waiting.pop((fact.by, fact.pasid), None)
            if waiting is not None and waiting[1] > 1:
                life, count, begun = waiting
                self.waiting[fact.by, fact.pasid] = (life, count - 1, begun)
            return _judged(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return [
            Owed(f"the free of {named(pasid, life)} by {by} is not answered", begun, (CORE,))
            for (by, pasid), (life, _, begun) in self.waiting.items()
        ]


def _judged(record: Record, fact: FreeAnswered) -> str | None:
    if fact.ok and record.stamp.input in AT_ONCE:
        return None
    life = named(fact.pasid, fact.incarnation)
    if not fact.ok:
        return f"the free of {life} by {fact.by} failed at {when(record.stamp)}"
    return (
        f"the free of {life} by {fact.by} was answered at {when(record.stamp)} only, "
        f"in {record.stamp.input}"
    )
