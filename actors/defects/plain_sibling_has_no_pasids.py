"""A PASID is refused in a group where any device has none, although that one is never asked."""

from typing import Final

from actors.iommu_core import IommuCore
from actors.iommu_core.state import GroupState
from protocol.messages.iommu_core import AttachDevicePasid

SOURCE: Final = "modern bug 28: b3f6fcd8404f, fixes c404f55c26fc (2025)"


class LooksAtPlainDevices(IommuCore):
    """The limit of a device without PASIDs is 0."""

    __slots__ = ()

    def beyond_limit(self, group: GroupState, request: AttachDevicePasid) -> bool:
        """And that is a limit."""
        limits = [self.devices[name].max_pasids for name in group.devices]
        return any(limit <= request.pasid for limit in limits)


CLASSES: Final[dict[str, type]] = {"iommu_core": LooksAtPlainDevices}
