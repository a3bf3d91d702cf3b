"""A page table that was not made for PASIDs may be attached to one, or beside one."""

from typing import Final

from actors.iommufd import Iommufd
from protocol.names import Name, Pasid

SOURCE: Final = "iommufd_hwpt_pasid_compat of Linux 7.3; IOMMU_HWPT_ALLOC_PASID"


class AsksForNoFlag(Iommufd):
    """The flag is not looked at."""

    __slots__ = ()

    def compatible(self, _group: Name, _hwpt: int, _pasid: Pasid) -> bool:
        """Every one will do."""
        return True


CLASSES: Final[dict[str, type]] = {"iommufd": AsksForNoFlag}
