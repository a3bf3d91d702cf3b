"""Mainline of Feb 2021: plain counts, no FREE_PENDING, no quota, nobody is told.

A get returns nothing, and a put does not ask whose it is.  The driver takes no reference for a
guest's bind, and an unbind names the device, not the domain.  The drain keeps pasid_mutex.
Upstream had neither KVM's table nor the VDCM: those here are the Intel data-centre kernel's, and
BIND and UNBIND stand for QEMU's word to them.  FREE reaches nobody.

Has S6, S7 (unbind by device alone), S25c at the allocator; S27 and S28 were mended in it.  Its S34c
and S46 are defects to put on top.  Native SVA: `_native_5_11`.
"""

from typing import Final

from actors.defects.driver_holds_no_reference import HoldsNoReference
from actors.defects.free_is_one_more_put import FreesByPut
from actors.defects.unbind_by_device_alone import UnbindsByDevice
from actors.ioasid_core.pool import NONE_FREE, smallest_from
from actors.ioasid_core.state import Block, Life, Transition
from actors.iommu_driver.state import Operation
from actors.revisions._native_5_8 import ForgetsItsPasid
from actors.revisions._native_5_11 import NativeDriver511
from protocol.effects import Out
from protocol.messages import AllocPasid, Done, GetPasid
from protocol.names import Name, Pasid

SOURCE: Final = "iommu/ioasid: Add ioasid references, cb4789b0d19f, 23 Nov 2020 (v5.11)"
DATE: Final = "2021-02-14"


class PlainCounts(FreesByPut):
    """struct ioasid_data with a refcount_t, and no more."""

    __slots__ = ()

    def number_for(self, alloc: AllocPasid) -> Pasid:
        """A set is a name."""
        if alloc.set not in self.sets:
            return NONE_FREE
        pasid = smallest_from(self.numbers, max(alloc.min, 0))
        return pasid if pasid <= alloc.max else NONE_FREE

    def on_get_pasid(self, get: GetPasid, sender: Name, out: Out) -> None:
        """Of an unknown one it warns; the caller goes on."""
        if self.get_refusal(get) is None:
            super().on_get_pasid(get, sender, out)
        else:
            out.send(sender, Done(get.call))

    def entry_to_put(self, life: Life, holder: str) -> str | None:
        """Anybody's, as long as there is one beside the owner's."""
        return super().entry_to_put(life, holder) or next(iter(life.ledger), None)

    def hears(self, block: Block, transition: Transition, number: int) -> bool:
        """There is no notifier."""
        stand_in = transition in (Transition.BIND, Transition.UNBIND)
        return stand_in and super().hears(block, transition, number)


class KeepsTheMutex(HoldsNoReference, UnbindsByDevice):
    """Until 5.13 there is no fault queue to flush."""

    __slots__ = ()

    def flush_faults(self, task: Operation, out: Out) -> None:
        """On with the fenced invalidation; the reported stay unanswered."""
        self.drain_requests(task, out)


class Driver(KeepsTheMutex, NativeDriver511):
    """Guests and processes."""

    __slots__ = ()


CLASSES: Final[dict[str, type]] = {
    "core": PlainCounts,
    "iommu": Driver,
    "process": ForgetsItsPasid,
}
