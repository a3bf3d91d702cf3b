"""IOASID extensions for guest SVA, v2: references, FREE_PENDING, and atomic chains.

The life cycle is the document's: all users hear FREE, and the number waits for their puts.  Chains
run under the core's spinlock, the global one first, so VT-d's handler comes before KVM's and the
VDCM's (S19).  What sleeps goes to the system workqueue, in any order.  A shared WQ has no reference
of its own (S26), and page requests of aborted descriptors are nobody's.  The svm has one IOMMU
pointer (S27).

Not here: of the registration races (S23) the two locks are registration-locks-crosswise.
"""

from typing import Final

from actors.defects.one_iommu_pointer import FlushesTheFirstUnit
from actors.revisions._posted import NotifiedLast, SystemWorkqueue, UnderSpinlock
from actors.revisions._posted_vdcm import HearsFree

DATE: Final = "2020-08-21"
SOURCE: Final = "S19, S26, S27; v2 of the IOASID extensions and its ioasid.rst, 21 Aug 2020"


class Driver(FlushesTheFirstUnit, NotifiedLast):
    """FREE queues a work."""

    __slots__ = ()


CLASSES: Final[dict[str, type]] = {
    "core": UnderSpinlock,
    "workqueue": SystemWorkqueue,
    "iommu": Driver,
    "vdcm": HearsFree,
}
