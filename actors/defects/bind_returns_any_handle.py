"""A bind takes what is in the slot of its PASID for a bond of its own, whatever it is.

The core does not compare the kind that it was asked for, and the SVA core not the mm: the device's
driver gets a handle of iommufd, or of another process.
"""

from typing import Final

from actors.iommu_core import IommuCore
from actors.iommu_core.state import Slot
from actors.sva import Sva
from actors.sva.state import Bind, Bond
from protocol.domains import ANY_KIND
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.sva import SvaBindAnswered
from protocol.messages.sva import SvaBindDeviceGot
from protocol.names import Name

SOURCE: Final = "3e7f57d1ef3f, its two checks of a handle; iommu_attach_handle_get"


class ComparesNoKind(IommuCore):
    """A handle is a handle."""

    __slots__ = ()

    def look_up_refusal(self, slot: Slot | None, _kind: str) -> Errno | None:
        """Of every kind."""
        return super().look_up_refusal(slot, ANY_KIND)


class TakesAnyHandle(Sva):
    """What is there is shared."""

    __slots__ = ()

    def may_share(self, _bond: Bond | None, _bind: Bind) -> bool:
        """Nobody looks."""
        return True

    def share(self, bind: Bind, handle: Name, out: Out) -> None:
        """Where a bond would have its count, there is something else."""
        if handle in self.bonds:
            super().share(bind, handle, out)
            return
        out.record(SvaBindAnswered(bind.request.device, bind.request.mm, handle, ""))
        self.end(bind, out)
        out.send(bind.sender, SvaBindDeviceGot(bind.request.call, handle))


CLASSES: Final[dict[str, type]] = {"iommu_core": ComparesNoKind, "sva": TakesAnyHandle}
