"""Page requests are drained before the caches are flushed, so new ones pass behind it.

While the PASID cache still has the entry the unit takes page requests for it, P or no P.  A drain
takes out only what came before it: its precondition is an entry that is clear and flushed.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation, Step
from protocol.effects import Out

SOURCE: Final = "O3; Linux 5.15 intel_svm_drain_prq, the remark above it"


class DrainsBeforeItFlushes(IommuDriver):
    """Clear P, drain, PASID cache, IOTLB, device TLB, zero."""

    __slots__ = ()

    def teardown_goes_on(self, task: Operation, out: Out) -> None:
        """The drain has its turn behind P and not at the end."""
        match task.step:
            case Step.CLEAR_PRESENT:
                self.begin_drain(task, out)
            case Step.ZERO_ENTRY:
                self.torn_down(task, out)
            case _:
                super().teardown_goes_on(task, out)

    def torn_down(self, task: Operation, out: Out) -> None:
        """What the drain takes for its end is where the flushes begin."""
        if task.step is Step.ZERO_ENTRY:
            super().torn_down(task, out)
        else:
            self.invalidate_pasid_cache(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": DrainsBeforeItFlushes}
