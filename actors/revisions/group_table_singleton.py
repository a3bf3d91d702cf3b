"""One PASID table for each group, and a PASID only in a group of one device (March 2023).

Asked for because pci_enable_pasid wants ACS anyway, so that such groups should not be met.  The
group is looked at when a PASID is attached: a device that joins later is not.
"""

from typing import Final

from actors.iommu_core import IommuCore
from actors.iommu_core.state import GroupState
from protocol.errors import Errno
from protocol.messages.iommu_core import AttachDevicePasid

SOURCE: Final = "mail of 8 Mar 2023, Kevin Tian: a check on singleton group"
DATE: Final = "2023-03-08"


class GroupTableSingletonCore(IommuCore):
    """The check comes before the limit."""

    __slots__ = ()

    def attach_refusal(self, group: GroupState, request: AttachDevicePasid) -> Errno | None:
        """No PASID where a device has a sibling."""
        if len(group.devices) > 1:
            return Errno.EINVAL
        return super().attach_refusal(group, request)


CLASSES: Final[dict[str, type]] = {"iommu_core": GroupTableSingletonCore}
