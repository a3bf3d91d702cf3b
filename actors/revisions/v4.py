"""IOASID extensions for guest SVA, V4, with VFIO v8: FREE is for VT-d, UNBIND for others.

Works are ordered.  A set goes whenever it becomes empty.  Bind is not serialised with free (S10):
attach_spid and the look-up by SPID do not see FREE_PENDING (S24), a refused get is ignored, also by
KVM (S21), and a work may meet another life (S10b).  BIND goes out before the entry is written, and
a bind that fails leaves SPID and reference behind (S9); a refused SPID is ignored (S40).  The work
drains inside a spinlock (S20).  A failed alloc returns its number (S45).  VFIO undoes another's
bind (S8) and refuses a late unbind (S11).  Of FREE only VT-d hears (S19); an SWQ has no reference.
"""

from typing import Final

from actors.defects.attach_spid_while_pending import AttachesToThePending
from actors.defects.bind_notified_before_entry import AttachesFirst
from actors.defects.bind_races_with_free import BindsWithoutTheLock
from actors.defects.drain_under_spinlock import DrainsUnderTheSpinlock
from actors.defects.failed_alloc_returns_number import ReturnsTheNumber
from actors.defects.failed_bind_keeps_reference import ForgetsItsReference
from actors.defects.failed_bind_keeps_spid import ForgetsTheSpid
from actors.defects.failed_get_ignored import IgnoresAFailedGet
from actors.defects.find_by_spid_while_pending import FindsThePending
from actors.defects.late_unbind_refused import RefusesALateUnbind
from actors.defects.rollback_undoes_earlier_bind import RollsBackTheGroup
from actors.defects.set_destroyed_when_empty import DestroysTheEmpty
from actors.defects.work_meets_the_next_life import EndsWhatTheWorkShouldEnd
from actors.iommu_driver.state import Bind, Step
from actors.revisions._posted import NotifiedLast, PublishedKvm, UnderSpinlock
from actors.revisions._posted_vdcm import HearsUnbind
from protocol.effects import Out
from protocol.errors import Errno

DATE: Final = "2021-02-27"
SOURCE: Final = "S8-S11, S19-S21, S24, S26, S40, S45; V4 and VFIO v8, 27 Feb and 2 Mar 2021"


class Core(
    FindsThePending, AttachesToThePending, ReturnsTheNumber, DestroysTheEmpty, UnderSpinlock
):
    """As posted in 02/18 to 12/18."""

    __slots__ = ()


class Driver(
    AttachesFirst,
    ForgetsTheSpid,
    ForgetsItsReference,
    IgnoresAFailedGet,
    EndsWhatTheWorkShouldEnd,
    DrainsUnderTheSpinlock,
    NotifiedLast,
):
    """As posted in 13/18 and 14/18."""

    __slots__ = ()

    def bind_refused(self, bind: Bind, errno: Errno, out: Out) -> None:
        """What attach_spid answers is not looked at."""
        if bind.step is Step.ATTACH_SPID:
            self.svms[bind.pasid].has_spid = errno is Errno.ENOMEM
            self.make_sdev(bind, out)
        else:
            super().bind_refused(bind, errno, out)


class Door(BindsWithoutTheLock, RollsBackTheGroup, RefusesALateUnbind):
    """VFIO v8."""

    __slots__ = ()


CLASSES: Final[dict[str, type]] = {
    "core": Core,
    "iommu": Driver,
    "vfio": Door,
    "kvm": PublishedKvm,
    "vdcm": HearsUnbind,
}
