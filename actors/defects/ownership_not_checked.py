"""A get on behalf of a process is granted for any PASID of any process.

The set that the look-up is asked for is NULL, and then the core compares nothing.  What is left is
the check at the ioctl, which asks this same core: a VM can bind, unbind and so use a number that is
another's.

Kernel: ioasid_get_if_owned of drivers/iommu/ioasid.c, "[PATCH V4 11/18]"; switched off by a NULL
set in drivers/iommu/intel/svm.c of the Intel data-centre kernel ("DCP").
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import life_of
from protocol.errors import Errno
from protocol.messages import GetIfOwned

SOURCE: Final = "S33; DCP svm.c; J. Gunthorpe and J. Pan on V4, Mar 2021; rule N10"


class OwnsForEveryone(IoasidCore):
    """Of the refusals only the owner's is missing."""

    __slots__ = ()

    def owner_refusal(self, get: GetIfOwned) -> Errno | None:
        """Another mm's PASID passes for one's own, unless it is pending."""
        errno = super().owner_refusal(get)
        if errno is not Errno.EPERM:
            return errno
        return None if self.may_get(life_of(self, get.pasid)) else Errno.EBUSY


CLASSES: Final[dict[str, type]] = {"core": OwnsForEveryone}
