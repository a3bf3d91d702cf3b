"""While a device is in reset nothing of its group is detached, and whoever asked is not told so.

He frees the domain, since a detach cannot fail; the end of the reset sets it on the device again.
"""

from typing import Final

from actors.iommu_core import IommuCore
from actors.iommu_core.state import GroupState, OfGroup
from protocol.effects import Out
from protocol.facts.iommu_core import DetachAsked
from protocol.messages import Done
from protocol.messages.iommu_core import DetachDevicePasid, DetachGroupHandle
from protocol.names import Name

SOURCE: Final = "modern bug 23: 5474e6e17a26, CVE-2026-52952 (2026)"


class RefusesToDetach(IommuCore):
    """EBUSY to everybody, and some cannot hear it."""

    __slots__ = ()

    def begin_detach(
        self, group: GroupState, detach: DetachDevicePasid, sender: Name, out: Out
    ) -> None:
        """A PASID."""
        if not group.recovering:
            super().begin_detach(group, detach, sender, out)
            return
        out.record(DetachAsked(group.name, detach.pasid, detach.domain))
        out.send(sender, Done(detach.call))

    def on_group_request(
        self, group: GroupState | None, request: OfGroup, sender: Name, out: Out
    ) -> None:
        """DMA without PASID."""
        if group is None or not group.recovering or not isinstance(request, DetachGroupHandle):
            super().on_group_request(group, request, sender, out)
            return
        out.record(DetachAsked(group.name, 0, request.domain))
        out.send(sender, Done(request.call))


CLASSES: Final[dict[str, type]] = {"iommu_core": RefusesToDetach}
