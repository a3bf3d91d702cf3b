"""Linux 6.12 (November 2024): the handle itself is put into the slot, before any device has it.

A look-up may so return the handle of an attach that then fails, and one without a handle takes a
slot that looks free.  There is no replace of a PASID and no recovery; a PASID is taken away by
remove_dev_pasid.  Held against calls recorded on 6.12.117 (`pasidlab conform`).
"""

from typing import Final

from actors.iommu_core import IommuCore
from actors.iommu_core.state import Attaching, Dev, DriverCall, GroupState, Slot
from actors.revisions import _sva_6_12 as sva
from actors.revisions._intel_6_12 import Linux612Driver
from actors.revisions._iommufd_6_12 import Linux612Iommufd
from protocol.domains import NO_PASID, NULL
from protocol.errors import Errno
from protocol.messages import AnyMessage
from protocol.messages.iommu_core import (
    AttachGroupHandle,
    RemoveDevPasid,
    ReplaceDevicePasid,
    ReplaceGroupHandle,
)

SOURCE: Final = "drivers/iommu/iommu.c of Linux 6.12; 3e7f57d1ef3f put the handle into the table"
DATE: Final = "2024-11-17"


class Linux612Core(IommuCore):
    """Handles in place of reservations."""

    __slots__ = ()

    def unlocked_refusal(self, device: Dev | None, request: Attaching) -> Errno | None:
        """The domain's ability comes before the group."""
        if isinstance(request, ReplaceDevicePasid) or not self.can_set(request.domain):
            return Errno.EOPNOTSUPP
        if device is None or not device.group:
            return Errno.ENODEV
        if not self.fits(request.domain, device.unit) or request.pasid == NO_PASID:
            return Errno.EINVAL
        return None

    def visible(self, slot: Slot) -> bool:
        """Also while devices are being programmed, and before one refuses."""
        return slot.handle != NULL

    def handle_wanted(self, request: AttachGroupHandle | ReplaceGroupHandle) -> bool:
        """Attach takes any, also none."""
        return isinstance(request, ReplaceGroupHandle)

    def call_of(self, group: GroupState, call: DriverCall) -> AnyMessage:
        """A callback of its own takes a PASID away, and gets the domain that its caller names."""
        if not call.away:
            return super().call_of(group, call)
        return RemoveDevPasid(group.number, call.device, call.pasid, call.incarnation, call.old)


CLASSES: Final[dict[str, type]] = {
    "iommu_core": Linux612Core,
    "iommufd": Linux612Iommufd,
    "intel_iommu": Linux612Driver,
    **sva.CLASSES,
}
