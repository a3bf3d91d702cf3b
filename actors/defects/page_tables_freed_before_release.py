"""exit_mmap frees the page tables before it has called the mm notifiers.

The device is still running and the IOMMU still walks: through pages that are somebody else's.
"""

from typing import Final

from actors.process import Process
from protocol.effects import Out
from protocol.facts import PageTablesFreed

SOURCE: Final = "O6; the order that mmu_notifier_release in exit_mmap is there for, 5.15"


class FreesFirst(Process):
    """The callback is called, and comes too late."""

    __slots__ = ()

    def release(self, out: Out) -> None:
        """The page tables, then whoever uses them."""
        out.record(PageTablesFreed(self.name, self.mm.pasid, self.mm.incarnation))
        super().release(out)


CLASSES: Final[dict[str, type]] = {"process": FreesFirst}
