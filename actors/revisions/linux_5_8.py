"""Mainline of May 2020, as guest bind came in: no references, no drain, nobody is told.

A freed number is in the pool at once, whatever still uses it.  Of (PASID, device) only users are
counted where the device has aux domains, one IOMMU pointer serves all devices of an svm, and the
drain is a comment (until 66ac4db36f4c, days later).  A guest's page requests are looked up in
QEMU's mm: the device hears INVALID.  KVM and VDCM as in linux-5.11.

Has S6, S7 (all of it), S12, S27; S28 concerns second-level unmaps, which are not played.  Its S34d
and S46 are defects to put on top.  Native SVA: `_native_5_8`.
"""

from typing import Final

from actors.defects.aux_binds_counted import CountsAuxBinds
from actors.defects.driver_holds_no_reference import HoldsNoReference
from actors.defects.one_iommu_pointer import FlushesTheFirstUnit
from actors.defects.unbind_by_device_alone import UnbindsByDevice
from actors.ioasid_core.state import life_of, owner_entry
from actors.iommu_driver import lock
from actors.iommu_driver.prq import invalid
from actors.iommu_driver.state import Unbind
from actors.revisions._native_5_8 import ForgetsItsPasid, NativeDriver58
from actors.revisions.linux_5_11 import PlainCounts
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import ReferenceDropped
from protocol.lifecycle import Move, State
from protocol.messages import PageRequest, Refused
from protocol.names import Name, Pasid

SOURCE: Final = "iommu/vt-d: Add bind guest PASID support, 56722a4398a3, May 2020 (v5.8-rc)"
DATE: Final = "2020-05-17"


class CountsNothing(PlainCounts):
    """xa_erase, kfree_rcu."""

    __slots__ = ()

    def let_go(self, pasid: Pasid, out: Out) -> None:
        """There is no count that could say that it is too early."""
        life = life_of(self, pasid)
        entry, life.owner = owner_entry(life.owner), ""
        out.record(ReferenceDropped(pasid, life.incarnation, entry, life.refs))
        if self.change_state(pasid, Move.FREE, out) is not State.FREE:
            self.change_state(pasid, Move.LAST_PUT, out)
        self.reclaim(pasid, out)


class FirstGuestBind(
    CountsAuxBinds, FlushesTheFirstUnit, HoldsNoReference, UnbindsByDevice, NativeDriver58
):
    """drivers/iommu/intel-svm.c, for guests and processes; the drain is a comment."""

    __slots__ = ()

    def unbind_device(self, task: Unbind, out: Out) -> None:
        """EINVAL for what has no svm."""
        if task.pasid in self.svms:
            super().unbind_device(task, out)
            return
        del self.tasks[task.number]
        lock.release(self, task, out)
        out.send(task.asker, Refused(task.request.call, Errno.EINVAL))

    def take_request(self, unit: Name, request: PageRequest, out: Out) -> None:
        """find_vma in the wrong mm."""
        if request.last:
            self.answer_group(unit, invalid(request), 0, out)


CLASSES: Final[dict[str, type]] = {
    "core": CountsNothing,
    "iommu": FirstGuestBind,
    "process": ForgetsItsPasid,
}
