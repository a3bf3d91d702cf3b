"""O15: locks are nested in one order only, and a lock is its holder's to let go (S3, S4, S23).

As the kernel's lockdep this needs no deadlock to happen: one thread that takes two locks the wrong
way round is enough.
"""

from typing import ClassVar, Final

from protocol.facts import Event, LockReleased, LockTaken, LockWaited
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.no_deadlock import Callers
from protocol.properties.property import Kind, Owed, Thread, when

ORDER: Final = ("pasid_lock", "pasid_mutex", "ioasid_allocator_lock", "nb_lock")
"""The outermost first.  A lock that is not named has no place; `pasid_lock:vm1` is a pasid_lock."""
PLACE: Final = {lock: place for place, lock in enumerate(ORDER)}


class LocksInOrder:
    """Locks are taken in their order, and let go by the thread that holds them."""

    name: ClassVar[str] = "locks-in-order"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "O15"
    source: ClassVar[str] = "VFIO v7 and V4, nesting of their locks; v1 10/10, its two locks"
    observes: ClassVar[tuple[type[Event], ...]] = (LockTaken, LockReleased, LockWaited)

    def __init__(self, machine: Machine) -> None:
        self.holders: dict[str, Thread] = {}
        self.callers = Callers()

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is LockTaken:
            thread = self.callers.thread(record, fact)
            before = self._turned_round(record, thread, fact.lock)
            self.holders[fact.lock] = thread
            return before
        if type(fact) is LockReleased:
            return self._let_go(record, fact)
        if type(fact) is LockWaited:
            return self._turned_round(record, self.callers.thread(record, fact), fact.lock)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _turned_round(self, record: Record, thread: Thread, lock: str) -> str | None:
        """A lock that belongs inside is held already."""
        for held, holder in self.holders.items():
            if holder == thread and place_of(lock, len(ORDER)) < place_of(held, -1):
                return f"{thread} takes {lock} with {held} held, at {when(record.stamp)}"
        return None

    def _let_go(self, record: Record, fact: LockReleased) -> str | None:
        thread = self.callers.thread(record, fact)
        self.callers.let_go(record)
        holder = self.holders.pop(fact.lock, None)
        if holder == thread:
            return None
        whose = "nobody holds" if holder is None else f"{holder} holds"
        return f"{thread} lets go of {fact.lock}, which {whose}, at {when(record.stamp)}"


def place_of(lock: str, unknown: int) -> int:
    """How far inside a lock belongs."""
    return PLACE.get(lock.partition(":")[0], unknown)
