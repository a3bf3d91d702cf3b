"""What operators want to know of a host beside its status, counted at a cost nobody notices.

Plain numbers in the host's own process; whether anybody ever looks at them is another's affair
(`ray_metrics.py`).
"""

from typing import Final

from protocol.facts import FreeRequested, PasidReclaimed
from protocol.facts.process import OpFail, OpInfo, OpOk
from protocol.names import Incarnation, Pasid

OUTCOMES: Final = {OpOk: "ok", OpFail: "fail", OpInfo: "info"}
SEEN: Final = frozenset((*OUTCOMES, FreeRequested, PasidReclaimed))
"""Facts that are counted; a host asks this of each of its facts, and hands on only these."""


class Meter:
    """`outcomes` of operations; appends to the journal; PASIDs that are freed and not yet gone.

    Ages begin when this incarnation hears of a PASID, so one that was freed before a crash is as
    old as the host that has come back; before the first tick, at time 0, nobody knows the time.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.appends = 0
        self.journal_ns = 0
        self.journal_ns_max = 0
        self.recovery_ns = 0
        self.recovered = 0
        self.reclaimed = 0
        self.pending: dict[tuple[Pasid, Incarnation], int] = {}

    def fact(self, fact: object, now_ns: int) -> None:
        """One of `SEEN`."""
        match fact:
            case FreeRequested():
                if fact.effective:
                    self.pending.setdefault((fact.pasid, fact.incarnation), now_ns)
            case PasidReclaimed():
                self.pending.pop((fact.pasid, fact.incarnation), None)
                self.reclaimed += 1
            case _:
                outcome = OUTCOMES[type(fact)]  # type: ignore[index]
                self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def lived_again(self, recovered: int, spent_ns: int) -> None:
        """The host is back; the lives that ended again meanwhile were counted when they did."""
        self.recovered, self.recovery_ns, self.reclaimed = recovered, spent_ns, 0

    def appended(self, spent_ns: int) -> None:
        """A transaction of the journal."""
        self.appends += 1
        self.journal_ns += spent_ns
        self.journal_ns_max = max(self.journal_ns_max, spent_ns)

    def oldest_ns(self, now_ns: int) -> int:
        """How long the oldest FREE_PENDING has been that, 0 if there is none."""
        self.pending = {one: since or now_ns for one, since in self.pending.items()}
        return max(0, now_ns - min(self.pending.values(), default=now_ns))
