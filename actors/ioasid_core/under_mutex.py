"""The core of v1: its lock is a mutex and its chain a blocking one, so handlers may sleep.

So may whoever calls it, and that forbids calls from atomic context (S5).

Kernel: drivers/iommu/ioasid.c of v1 08/10, 25 Mar 2020.
"""

from typing import ClassVar

from actors.ioasid_core.inbox import Inbox
from actors.ioasid_core.state import life_of
from actors.ioasid_core.under_lock import IoasidCoreUnderLock
from protocol.effects import Out
from protocol.messages import DetachData
from protocol.names import INVALID_PASID, Name, Pasid


class IoasidCoreUnderMutex(IoasidCoreUnderLock):
    """A handler that tears down takes its private data away itself."""

    __slots__ = ()

    KIND: ClassVar[str] = "mutex"

    def enters(self, message: Inbox, sender: Name) -> bool:
        """Also `ioasid_set_data` of the handler that runs."""
        if isinstance(message, DetachData):
            return self.is_locked_call(message.pasid, sender)
        return super().enters(message, sender)

    def reclaim(self, pasid: Pasid, out: Out) -> None:
        """An SPID that no UNBIND has taken goes with its PASID."""
        if life_of(self, pasid).spid != INVALID_PASID:
            self.clear_spid(pasid, out)
        super().reclaim(pasid, out)
