"""A device is drained only while some domain of it has a handler of page requests.

PRI is on from the start, so a device asks for pages of a domain without a handler, too; its
requests are in the ring when the PASID gets a domain that has one.  Linux 7.3 drains like this.
"""

from typing import Final

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import Task

SOURCE: Final = "derived: Linux 7.3, intel_iommu_drain_pasid_prq; compare c43e1ccdebf2"


class DrainsWhatIsHandled(IntelIommu):
    """Without a reference there is nothing on the queue."""

    __slots__ = ()

    def is_drained(self, task: Task) -> bool:
        """By the device's count."""
        return self.iopf.get(task.place.device, 0) > 0 and super().is_drained(task)


CLASSES: Final[dict[str, type]] = {"intel_iommu": DrainsWhatIsHandled}
