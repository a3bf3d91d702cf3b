"""IOASID extensions for guest SVA, v1: a blocking chain under a mutex, and no references.

Free runs the chain, and the number is back in the pool (S6); users are told, and not waited for.
The ledger only notes who believes to hold a PASID, so that it is seen what is reclaimed under them.
VT-d tears down in its handler: with pasid_mutex, which bind takes outside the core's (S4), and
which the handler lets go for events that it took it not for (S3); the svm is freed inside the walk
of its list (S2).  BIND is sent for each device (S9).  There is no drain (S12), and one IOMMU
pointer for all devices (S27).  KVM and VDCM are told of FREE by nobody: no code was posted.

Not here: S1, an error pointer of a look-up, is a defect of its own; S5 needs a caller in atomic
context, free-in-rcu-callback.  That v1 sent FREE also where nobody is left to be told, changes
nothing.
"""

from typing import Final

from actors.defects.bind_notified_per_device import NotifiesEachBind, NotifiesOnRequest
from actors.defects.handler_takes_pasid_mutex import TearsDownInItsHandler
from actors.defects.no_prq_drain import EndsWithoutADrain
from actors.defects.one_iommu_pointer import FlushesTheFirstUnit
from actors.defects.reclaimed_after_chain import ReclaimsAfterTheChain
from actors.defects.svm_freed_in_list_walk import FreesInsideTheWalk
from actors.defects.unlocks_mutex_not_taken import TellsEverybody, UnlocksWhatItNeverTook
from actors.ioasid_core.under_mutex import IoasidCoreUnderMutex
from actors.revisions._posted import IgnoresFree, NotifiedLast
from actors.revisions._posted_vdcm import DrainsWithoutARight
from actors.vdcm.state import Slot
from protocol.messages import NotifyFree, NotifyUnbind

DATE: Final = "2020-03-25"
SOURCE: Final = "S2-S4, S6, S9, S12, S27; IOASID extensions for guest SVA, v1, 25 Mar 2020"


class Core(NotifiesOnRequest, ReclaimsAfterTheChain, TellsEverybody, IoasidCoreUnderMutex):
    """ioasid_notify and a mutex."""

    __slots__ = ()


class Driver(
    UnlocksWhatItNeverTook,
    NotifiesEachBind,
    FreesInsideTheWalk,
    TearsDownInItsHandler,
    EndsWithoutADrain,
    FlushesTheFirstUnit,
    NotifiedLast,
):
    """pasid_free_notifier, as seed 002 reviews it."""

    __slots__ = ()


class HearsNothing(DrainsWithoutARight):
    """A guest disables its WQ, or nobody does."""

    __slots__ = ()

    def slots_freed(self, free: NotifyFree) -> list[Slot]:
        """Nobody told it."""
        return []

    def slots_unbound(self, unbind: NotifyUnbind) -> list[Slot]:
        """Nor of this."""
        return []


CLASSES: Final[dict[str, type]] = {
    "core": Core,
    "iommu": Driver,
    "kvm": IgnoresFree,
    "vdcm": HearsNothing,
}
