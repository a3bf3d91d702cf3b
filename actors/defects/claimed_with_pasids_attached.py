"""Who claims the DMA of a group is not asked whether somebody has a PASID there."""

from typing import Final

from actors.iommu_core import IommuCore
from actors.iommu_core.state import GroupState
from protocol.domains import NULL
from protocol.errors import Errno
from protocol.messages.iommu_core import ClaimDmaOwner

SOURCE: Final = "iommu_device_claim_dma_owner of Linux 7.3, xa_empty(&group->pasid_array)"


class LooksAtTheRidAlone(IommuCore):
    """What was enough before there were PASIDs."""

    __slots__ = ()

    def claim_refusal(self, group: GroupState | None, claim: ClaimDmaOwner) -> Errno | None:
        """A slot of a PASID is no slot."""
        errno = super().claim_refusal(group, claim)
        if errno is Errno.EBUSY and group is not None and 0 not in self.table(group, NULL):
            return None
        return errno


CLASSES: Final[dict[str, type]] = {"iommu_core": LooksAtTheRidAlone}
