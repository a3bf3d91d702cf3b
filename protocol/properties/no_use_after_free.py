"""N19: an object that others point to lives as long as they do (S1, S2, S43)."""

from typing import ClassVar, Final, TypeAlias

from protocol.facts import Event, MemoryAllocated, MemoryFreed, MemoryUsed
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, when

FREED_MAX: Final = 4096
"""So many freed objects are remembered."""
ERROR: Final = "ERR_PTR("
"""How the name of an object begins that is an error in the place of a pointer."""

Object: TypeAlias = tuple[str, str]


class NoUseAfterFree:
    """No object is used, or freed, after it was freed; every use is known to be before the free."""

    name: ClassVar[str] = "no-use-after-free"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N19"
    source: ClassVar[str] = "K. Tian on v1 10/10, 27 Mar 2020"
    observes: ClassVar[tuple[type[Event], ...]] = (MemoryAllocated, MemoryUsed, MemoryFreed)

    def __init__(self, machine: Machine) -> None:
        self.used: dict[Object, dict[Name, int]] = {}
        """Of each object in use, the last input of each of its users."""
        self.freed: dict[Object, str] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is MemoryUsed:
            users = self.used.get((fact.kind, fact.object))
            if users is None:
                return self._first_used(record, fact)
            stamp = record.stamp
            users[stamp.actor] = stamp.n
        elif type(fact) is MemoryAllocated:
            self.freed.pop((fact.kind, fact.object), None)
        elif type(fact) is MemoryFreed:
            return self._freed(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _first_used(self, record: Record, fact: MemoryUsed) -> str | None:
        """What was freed has no users, so only a first use can come too late; an error has none."""
        stamp = record.stamp
        if fact.object.startswith(ERROR):
            return f"{stamp.actor} used {fact.kind} {fact.object}, no pointer, at {when(stamp)}"
        freed = self.freed.get((fact.kind, fact.object))
        if freed is None:
            self.used[fact.kind, fact.object] = {stamp.actor: stamp.n}
            return None
        what = f"{fact.kind} {fact.object}"
        return f"{stamp.actor} used {what} at {when(stamp)}, freed at {freed}"

    def _freed(self, record: Record, fact: MemoryFreed) -> str | None:
        thing = (fact.kind, fact.object)
        before = self.freed.pop(thing, None)
        self.freed[thing] = when(record.stamp)
        if len(self.freed) > FREED_MAX:
            del self.freed[next(iter(self.freed))]
        if before is not None:
            return _wrong(record, fact, f"and it had been freed at {before}")
        for actor, n in self.used.pop(thing, {}).items():
            if actor != record.stamp.actor and not record.saw(actor, n):
                return _wrong(record, fact, f"not known to be after {actor} used it (input {n})")
        return None


def _wrong(record: Record, fact: MemoryFreed, why: str) -> str:
    stamp = record.stamp
    return f"{stamp.actor} freed {fact.kind} {fact.object} at {when(stamp)}, {why}"
