"""Unbind of an mm leaves page requests in the ring: the number's next owner answers them.

The PASID is freed with a request of it still on its way.  The PRQ thread looks it up later, finds
the svm of whoever has the number by then, and faults in his page.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation
from protocol.effects import Out

SOURCE: Final = "S12; intel_svm_unbind_mm, 5.7; T. Gleixner and J. Pan, 28 Apr 2020 (seed 004)"


class DrainsNoMm(IommuDriver):
    """A comment says that it is to be done."""

    __slots__ = ()

    def begin_drain(self, task: Operation, out: Out) -> None:
        """For guests it is drained."""
        if self.svms[task.pasid].native:
            self.torn_down(task, out)
        else:
            super().begin_drain(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": DrainsNoMm}
