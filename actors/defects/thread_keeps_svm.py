"""The PRQ thread keeps an svm from one entry of the ring to the next, and it may be freed there.

The thread holds no lock and no reference between two entries.  It looks at the svm of the last one
to see whether that will do for the next, and trusts that nobody unbinds while faults are
outstanding; so teardown does not wait for the thread either.  Each trusts the other.
"""

from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.drain import round_of
from actors.iommu_driver.prq import TIMER
from actors.iommu_driver.state import Operation, Round, Step
from protocol.effects import Out
from protocol.facts import MemoryUsed
from protocol.messages import AdvancePrq, PageRequest, ReadPrqGot, TimerFired
from protocol.names import Name

SOURCE: Final = "S34b; Linux 5.8 to 5.15 prq_event_thread and the remark in it"


@dataclass(slots=True)
class KeepsTheSvm(IommuDriver):
    """Of each unit: the ring as it was read, how far the thread is, and the svm it looked up."""

    entries: dict[Name, list[PageRequest]] = field(default_factory=dict)
    at: dict[Name, int] = field(default_factory=dict)
    kept: dict[Name, str] = field(default_factory=dict)

    def ring_read(self, one: Round, ring: ReadPrqGot, out: Out) -> None:
        """Entry by entry: between two of them others run."""
        self.entries[one.unit], self.at[one.unit] = list(ring.requests), 0
        self.next_entry(one, out)

    def on_timer_fired(self, fired: TimerFired, out: Out) -> None:
        """The thread runs again, at the entry where it was."""
        one = round_of(self, fired.timer.removeprefix(TIMER))
        if one is not None and one.unit in self.entries:
            self.next_entry(one, out)
        else:
            super(KeepsTheSvm, self).on_timer_fired(fired, out)

    def next_entry(self, one: Round, out: Out) -> None:
        """With the svm of the one before at hand; behind the last one the head moves."""
        entries, at = self.entries[one.unit], self.at[one.unit]
        if at < len(entries):
            if one.unit in self.kept:
                out.record(MemoryUsed("svm", self.kept[one.unit]))
            self.take_request(one.unit, entries[at], out)
            svm = self.svms.get(entries[at].pasid)
            if svm is not None:
                self.kept[one.unit] = svm.object()
            self.at[one.unit] = at + 1
            out.set_timer(TIMER + one.unit)
            return

        for memory in (self.entries, self.at, self.kept):
            memory.pop(one.unit, None)
        one.step = Step.ADVANCE_PRQ
        out.send(one.unit, AdvancePrq(one.number, len(entries)))

    def ring_scanned(self, task: Operation, ring: ReadPrqGot, out: Out) -> None:
        """Nobody unbinds with faults outstanding, so there is no thread to wait for."""
        super(KeepsTheSvm, self).ring_scanned(task, replace(ring, requests=()), out)


CLASSES: Final[dict[str, type]] = {"iommu": KeepsTheSvm}
