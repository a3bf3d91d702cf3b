"""The VT-d driver of Linux 6.12: a callback of its own takes a PASID away (remove_dev_pasid)."""

from typing import TypeAlias

from actors.intel_iommu import Inbox, IntelIommu
from protocol.domains import BLOCKING
from protocol.effects import Out
from protocol.messages.iommu_core import RemoveDevPasid, SetDevPasid
from protocol.names import Name

OldInbox: TypeAlias = Inbox | RemoveDevPasid


class Linux612Driver(IntelIommu):
    """What it does is what 7.3 does for the blocking domain."""

    __slots__ = ()

    def handle(self, message: OldInbox, sender: Name, out: Out) -> None:
        """The domain that it had is the one that the core's caller named."""
        match message:
            case RemoveDevPasid(call, device, pasid, incarnation, domain):
                message = SetDevPasid(call, device, pasid, incarnation, BLOCKING.name, domain)
            case _:
                pass
        super().handle(message, sender, out)
