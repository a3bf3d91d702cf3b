"""A domain is detached, and its second level freed, while an entry still points to it.

After FREE an unbind has nothing to do, the work will see to it; so the files can be closed and the
domain detached before the work has had its turn.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from protocol.names import Name

SOURCE: Final = "S7; aux_domain_remove_dev of drivers/iommu/intel/iommu.c beside V4 14/18's work"


class DetachesAtOnce(IommuDriver):
    """Nobody asks what is nested over the domain."""

    __slots__ = ()

    def uses_domain(self, device: Name, vm: Name) -> bool:
        """No svm_dev counts."""
        return False


CLASSES: Final[dict[str, type]] = {"iommu": DetachesAtOnce}
