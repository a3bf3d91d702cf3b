"""O15: locks are nested in one order only, and a lock is its holder's to let go (S3, S4, S23).

As the kernel's lockdep this needs no deadlock to happen: one thread that takes two locks the wrong
way round is enough.
"""

from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, Final

from protocol.facts import Event, LockReleased, LockTaken, LockWaited, ThreadEntered
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.no_deadlock import Callers
from protocol.properties.property import Kind, Owed, Thread, when

ORDERS: Final = (
    ("pasid_lock", "pasid_mutex", "ioasid_allocator_lock", "nb_lock"),
    # Linux 7.3, as its code nests them; a core has `group`, a context `igroup`.
    ("dev_set", "mock", "ioas", "igroup", "group", "domain->lock", "iommu->lock"),
    ("group", "cache_lock"),
    ("group", "iopf_lock"),
    ("igroup", "fault"),
    ("wq_lock", "iommu_sva_lock", "group"),
    ("uacce", "iommu_sva_lock"),
    ("queue", "param", "fault_param"),
)
"""The outermost first.  Between locks of no common order, none is wrong; `group:g` is a group."""


def inside_of(orders: tuple[tuple[str, ...], ...]) -> dict[str, dict[str, None]]:
    """By lock, those that may only be taken with it held, or without it; also by way of others."""
    inside: dict[str, dict[str, None]] = {}
    for order in orders:
        for outer, inner in pairwise(order):
            inside.setdefault(outer, {})[inner] = None
    for _ in range(sum(map(len, orders))):
        for lock, held in inside.items():
            further = [more for one in held for more in inside.get(one, {})]
            inside[lock] = held | dict.fromkeys(further)
    return inside


INSIDE: Final = inside_of(ORDERS)


class LocksInOrder:
    """Locks are taken in their order, and let go by the thread that holds them."""

    name: ClassVar[str] = "locks-in-order"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "O15"
    source: ClassVar[str] = "VFIO v7 and V4, v1 10/10, Linux 7.3: the nesting of their locks"
    observes: ClassVar[tuple[type[Event], ...]] = (
        LockTaken,
        LockReleased,
        LockWaited,
        ThreadEntered,
    )

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
        if type(fact) is ThreadEntered:
            self.callers.entered(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _turned_round(self, record: Record, thread: Thread, lock: str) -> str | None:
        """A lock that belongs inside is held already."""
        for held, holder in self.holders.items():
            if holder == thread and kind_of(held) in INSIDE.get(kind_of(lock), ()):
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


@lru_cache(maxsize=1024)
def kind_of(lock: str) -> str:
    """Which of the locks it is, whosever."""
    return lock.partition(" " if " " in lock else ":")[0]
