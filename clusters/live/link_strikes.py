"""Faults of links in a live run: which last, and when each was seen to have begun and to be over.

The supervisor tells every host with each tick; a fault has begun when all hosts that run have said
that they know of it, and is healed when all have said that they do not any more.
"""

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from clusters.links import ends
from clusters.live.link_faults import Lasting, LinkFault
from clusters.nemesis import BY_CHANCE, HALF, Nemesis
from protocol.facts.world import FaultBegun, FaultHealed
from protocol.names import Name

if TYPE_CHECKING:
    from clusters.live.supervisor import Supervisor


class LinkStrikes:
    """`begun` (fault and target) counts those that were seen to have happened."""

    def __init__(self, supervisor: "Supervisor", begun: dict[str, int]) -> None:
        self.supervisor = supervisor
        self.begun = begun
        self._serial = 0
        self._lasting: dict[int, LinkFault] = {}
        self._until: list[tuple[float, int]] = []
        self._unseen: list[tuple[int, FaultBegun | FaultHealed]] = []

    def possible(self, fault: str, target: Name) -> bool:
        """Whether it can begin: nobody of it is lost, and it does not last already."""
        if any(end in self.supervisor.lost for end in ends(target)):
            return False
        return all((one.fault, one.target) != (fault, target) for one in self._lasting.values())

    def begin(self, nemesis: Nemesis, target: Name, until: float) -> None:
        """From now on, until then."""
        self._serial += 1
        odds = (nemesis.probability or HALF) if nemesis.fault in BY_CHANCE else 1.0
        low, high = (int(seconds * 1e9) for seconds in nemesis.wait_seconds)
        fault = LinkFault(self._serial, nemesis.fault, target, odds, (low, high))
        self._lasting[self._serial] = fault
        heappush(self._until, (until, self._serial))
        self._tell(FaultBegun(nemesis.fault, target))

    def end(self, fault: str, target: Name) -> None:
        """This one is over, whenever it was to be."""
        over = [n for n, one in self._lasting.items() if (one.fault, one.target) == (fault, target)]
        self._until = [one for one in self._until if one[1] not in over]
        heapify(self._until)
        for serial in over:
            self._end(serial)

    @property
    def seen(self) -> bool:
        """Whether all hosts know what has begun and ended."""
        self._look()
        return not self._unseen

    def act(self, now: float) -> None:
        """End what is over, and record what all hosts have said to know."""
        while self._until and self._until[0][0] <= now:
            self._end(heappop(self._until)[1])
        self._look()

    def heal(self) -> None:
        """All of it is over."""
        while self._until:
            self._end(heappop(self._until)[1])

    @property
    def over(self) -> bool:
        """Whether nothing lasts, and everybody knows."""
        self._look()
        return not (self._lasting or self._unseen)

    @property
    def undone(self) -> list[str]:
        """What was to begin and was never seen to have."""
        return [
            f"{fact.fault} {fact.target} has not begun: hosts do not say that they know of it"
            for _, fact in self._unseen
            if isinstance(fact, FaultBegun)
        ]

    def _end(self, serial: int) -> None:
        fault = self._lasting.pop(serial)
        self._tell(FaultHealed(fault.fault, fault.target))

    def _tell(self, fact: FaultBegun | FaultHealed) -> None:
        version = self.supervisor.links.version + 1
        self.supervisor.links = Lasting(version, tuple(self._lasting.values()))
        self._unseen.append((version, fact))

    def _look(self) -> None:
        if not self._unseen:
            return
        views = self.supervisor.running
        seen = min((view.status.links if view.status else 0 for view in views), default=0)
        while self._unseen and self._unseen[0][0] <= seen:
            _, fact = self._unseen.pop(0)
            self.supervisor.chronicle.stated(fact)
            what = "begun" if isinstance(fact, FaultBegun) else "healed"
            self.supervisor.log(f"fault.{what}", fault=fact.fault, target=fact.target)
            if isinstance(fact, FaultBegun):
                key = f"{fact.fault} {fact.target}"
                self.begun[key] = self.begun.get(key, 0) + 1
