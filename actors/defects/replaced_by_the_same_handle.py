"""A replace may have the handle that is in the slot already.

Nobody can tell then which faults are the old domain's, so they are answered into the new one.
"""

from typing import Final

from actors.iommu_core import IommuCore
from actors.iommu_core.state import Attaching, Slot
from protocol.errors import Errno
from protocol.messages.iommu_core import ReplaceDevicePasid

SOURCE: Final = "iommu_replace_device_pasid of Linux 7.3, its warning"


class TakesTheSameHandle(IommuCore):
    """Only an empty slot is refused."""

    __slots__ = ()

    def slot_refusal(self, slot: Slot | None, request: Attaching) -> Errno | None:
        """Whoever's handle it is."""
        if slot is not None and isinstance(request, ReplaceDevicePasid):
            return None
        return super().slot_refusal(slot, request)


CLASSES: Final[dict[str, type]] = {"iommu_core": TakesTheSameHandle}
