"""The Intel data-centre kernel: V4, with the only KVM and VDCM that were ever published.

A set stays until it is freed.  A subscriber's BAD ends its chain, and KVM says nothing when it has
no page for its table (S41).  KVM ignores a failed get (S21), and an UNBIND that it has no entry for
keeps the vCPUs out (S22).  The VDCM hears FREE alone, for an enabled shared WQ: its work drains the
guest's number (S25f), puts what was never got (S25c), or returns without (S25e); of its slots a
disable fails unless it reclaims (S25a), reset and close (S25b) and interrupts (S25d) never put, nor
does a failed enable (S25g).  Close loses the notifier (S43).  S9-S11, S19, S20, S24, S40 as in V4.

Not here: S33.  VT-d finds any set's PASIDs, but the sound driver leaves that to VFIO as well.
"""

from typing import Final

from actors.defects.attach_spid_while_pending import AttachesToThePending
from actors.defects.bad_verdict_stops_chain import StopsAtBad
from actors.defects.bind_failure_swallowed import SwallowsTheFailure
from actors.defects.disable_fails_unless_reclaimed import TakesNotTheLastForFailed
from actors.defects.drain_of_the_guest_pasid import DrainsTheGuestsNumber
from actors.defects.failed_enable_keeps_its_reference import KeepsWhatItCannotUse
from actors.defects.find_by_spid_while_pending import FindsThePending
from actors.defects.ims_look_up_leaks import NeverPutsForAnInterrupt
from actors.defects.notifier_block_lost_on_exit import LosesTheMm
from actors.defects.reset_and_close_never_put import PutsOnlyOnDisable
from actors.defects.swq_puts_without_a_get import OnlyCounts
from actors.defects.vm_entry_left_blocked import LeavesTheBlockUp
from actors.defects.work_dropped_without_memory import DropsTheWork
from actors.defects.work_skips_a_disabled_queue import SkipsADisabledQueue
from actors.revisions import v4
from actors.revisions._posted import PublishedKvm, UnderSpinlock
from actors.revisions._posted_vdcm import HearsUnbind
from actors.vdcm.state import Kind, Slot, key_of
from protocol.messages import NotifyFree, NotifyUnbind

DATE: Final = "2021-12-31"
"""No day is known but that it came after V4."""
SOURCE: Final = (
    "S9-S11, S19-S22, S24, S25a-g, S40, S41, S43; Intel data-centre kernel: vmx.c 03618be7409b, "
    "mdev.c and vdev.c 3d23391ae990, ioasid.c 0669c81851f6, svm.c 535f23279e55"
)


class Core(OnlyCounts, StopsAtBad, FindsThePending, AttachesToThePending, UnderSpinlock):
    """Sets as in the sound protocol, references as a number."""

    __slots__ = ()


class Table(LeavesTheBlockUp, SwallowsTheFailure, PublishedKvm):
    """KVM."""

    __slots__ = ()


class Mdev(
    TakesNotTheLastForFailed,
    PutsOnlyOnDisable,
    NeverPutsForAnInterrupt,
    SkipsADisabledQueue,
    KeepsWhatItCannotUse,
    LosesTheMm,
    DropsTheWork,
    DrainsTheGuestsNumber,
    HearsUnbind,
):
    """idxd's VDCM."""

    __slots__ = ()

    def slots_freed(self, free: NotifyFree) -> list[Slot]:
        """Only the shared queue; the guest's number is the one in the notification."""
        self.guest_numbers[key_of(free.token, Kind.SWQ, free.pasid)] = free.spid
        return self.to_drain(free)

    def slots_unbound(self, unbind: NotifyUnbind) -> list[Slot]:
        """UNBIND is nothing to it."""
        return []


CLASSES: Final[dict[str, type]] = {**v4.CLASSES, "core": Core, "kvm": Table, "vdcm": Mdev}
