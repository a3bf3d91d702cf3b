"""A reset that ends after the mm has been released sets its page tables up again.

The core gives the device what the group's table has; nothing there says that the mm is dead, and
the driver does not ask.  Derived from how the two are described; nobody has reported it.
"""

from typing import Final

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import Task
from protocol.effects import Out
from protocol.names import Name

SOURCE: Final = "derived: Linux 7.3, pci_dev_reset_iommu_done and intel_svm_set_dev_pasid"


class SetsUpTheDead(IntelIommu):
    """An mm is an mm."""

    __slots__ = ()

    def write_entry(self, task: Task, name: Name, out: Out) -> bool:
        """Released or not."""
        domain = self.domain(name, out)
        released, domain.released = domain.released, False
        over = super().write_entry(task, name, out)
        domain.released = released
        return over


CLASSES: Final[dict[str, type]] = {"intel_iommu": SetsUpTheDead}
