"""Page requests are drained when an mm is unbound, and for no other domain.

Since other domains can have page requests, too, theirs stay in the ring and reach the next domain.
"""

from typing import Final

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import Task
from protocol.domains import SVA

SOURCE: Final = "c43e1ccdebf2, 2024: drains inside every tear-down"


class DrainsMmsAlone(IntelIommu):
    """As long as intel_svm_remove_dev_pasid was who drained."""

    __slots__ = ()

    def is_drained(self, task: Task) -> bool:
        """What was there is an mm's."""
        old = self.domains.get(task.old)
        return old is not None and old.kind == SVA and super().is_drained(task)


CLASSES: Final[dict[str, type]] = {"intel_iommu": DrainsMmsAlone}
