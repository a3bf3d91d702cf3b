"""The work after FREE drains page requests with the IOMMU's spinlock held: it sleeps there.

The teardown of a device takes the unit's register spinlock.  As posted the drain, which waits for
the PRQ thread, is inside it; a CPU that spins for the lock then waits for one that sleeps.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation, Work, name_of
from protocol.effects import Out
from protocol.facts import LockReleased, LockTaken

SOURCE: Final = "S20; [PATCH V4 14/18] iommu/vt-d: Listen to IOASID notifications, 27 Feb 2021"


class DrainsUnderTheSpinlock(IommuDriver):
    """The lock is held since the device was unlinked; flushes spin, the drain is what sleeps."""

    __slots__ = ()

    def begin_drain(self, task: Operation, out: Out) -> None:
        """Still held."""
        if isinstance(task, Work):
            out.record(LockTaken(self.spinlock(task), "spinlock", name_of(task)))
        super().begin_drain(task, out)

    def torn_down(self, task: Operation, out: Out) -> None:
        """Let go after the drain."""
        if isinstance(task, Work):
            out.record(LockReleased(self.spinlock(task), "spinlock", name_of(task)))
        super().torn_down(task, out)

    def spinlock(self, task: Operation) -> str:
        """Of the unit that the device is behind."""
        return f"iommu->lock:{self.unit_of(self.svms[task.pasid], task.device)}"


CLASSES: Final[dict[str, type]] = {"iommu": DrainsUnderTheSpinlock}
