"""Device-TLB invalidation walks the ordinary devices of a domain and misses its subdevices.

What was bound through an mdev is torn down without a flush of its parent's TLB: a translated access
needs no entry any more.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation
from protocol.effects import Out

SOURCE: Final = "S28; iommu/vt-d: Fix ineffective devTLB invalidation for subdevices, 7c29ada5e708"


class MissesSubdevices(IommuDriver):
    """domain->devices has them not; domain->subdevices is not looked at."""

    __slots__ = ()

    def invalidate_dev_tlb(self, task: Operation, out: Out) -> None:
        """On with the rest."""
        if self.svms[task.pasid].devices[task.device].through[0] in self.parents:
            self.zero_entry(task, out)
        else:
            super().invalidate_dev_tlb(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": MissesSubdevices}
