"""The VDCM of the published revisions: by their documents, as no code came with them."""

from actors.vdcm import Vdcm
from actors.vdcm.slots import make
from actors.vdcm.state import Kind, Slot, key_of
from protocol.messages import NotifyFree, NotifyUnbind, WqMode


class DrainsWithoutARight(Vdcm):
    """All: a shared WQ has no slot and no reference; what is told makes a work that drains it.

    Nor does anybody look after the page requests of what was aborted.
    """

    __slots__ = ()

    def hears(self, vm: str) -> bool:
        """BIND is nothing to a queue whose PASID comes with each command."""
        return False

    def must_settle(self, slot: Slot) -> bool:
        """The descriptors have ended: that is all."""
        return False

    def to_drain(self, told: NotifyFree | NotifyUnbind) -> list[Slot]:
        """A slot that has taken nothing, so that the work has something to clear."""
        queue = self.slots.get(key_of(told.token, Kind.WQ))
        if self.mode is not WqMode.SHARED or queue is None or not queue.in_use:
            return []
        slot = self.slots[make(self, told.token, Kind.SWQ, told.pasid)]
        slot.pasid, slot.incarnation, slot.in_use = told.pasid, told.incarnation, True
        return [slot]


class HearsFree(DrainsWithoutARight):
    """v2, v3: FREE makes the VDCM clear what was programmed, and drain."""

    __slots__ = ()

    def slots_freed(self, free: NotifyFree) -> list[Slot]:
        """Those with a reference, and the one without."""
        self.to_drain(free)
        return super().slots_freed(free)

    def slots_unbound(self, unbind: NotifyUnbind) -> list[Slot]:
        """What it has programmed, the guest clears itself."""
        return []


class HearsUnbind(DrainsWithoutARight):
    """V4: FREE is for the IOMMU driver alone; UNBIND makes the VDCM drain."""

    __slots__ = ()

    def slots_freed(self, free: NotifyFree) -> list[Slot]:
        """What is programmed stays until the guest clears it."""
        return []

    def slots_unbound(self, unbind: NotifyUnbind) -> list[Slot]:
        """The shared queue, with the host PASID."""
        return self.to_drain(unbind)
