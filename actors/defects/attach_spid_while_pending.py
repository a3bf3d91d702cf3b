"""A guest PASID can be attached to a PASID that its owner has freed, and BIND goes out for it.

`ioasid_attach_spid` looks whether the PASID exists and whether the SPID is used, not in what state
the PASID is.  A bind that has lost the race against free goes on, and everybody who hears BIND sets
up a PASID that is on its way out.

Kernel: ioasid_attach_spid of drivers/iommu/ioasid.c, "[PATCH V4 09/18]".
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Life

SOURCE: Final = "S24, S10; [PATCH V4 09/18], 27 Feb 2021, ioasid_attach_spid; rule N3"


class AttachesToThePending(IoasidCore):
    """The state is not tested."""

    __slots__ = ()

    def may_attach_spid(self, life: Life) -> bool:
        """Whatever has become of the PASID since it was looked up."""
        return True


CLASSES: Final[dict[str, type]] = {"core": AttachesToThePending}
