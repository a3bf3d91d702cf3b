"""IOMMU_DESTROY does not look at the users: a page table goes while a device has it."""

from typing import Final

from actors.iommufd import Iommufd
from actors.iommufd.state import AnyObject

SOURCE: Final = "iommufd_object_remove of Linux 7.3"


class DestroysAnything(Iommufd):
    """The id is all that it looks at."""

    __slots__ = ()

    def may_remove(self, _found: AnyObject) -> bool:
        """Whoever uses it."""
        return True


CLASSES: Final[dict[str, type]] = {"iommufd": DestroysAnything}
