"""O1, R8: work in a device goes on accessing memory with the number it was submitted with."""

from typing import ClassVar

from protocol.facts import (
    DescriptorAccepted,
    DescriptorEnded,
    DeviceUnbound,
    Event,
    HostGone,
    PasidReclaimed,
    SiteFailed,
    VmExited,
)
from protocol.facts.iommu_core import GlobalPasidFreed
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, kvm_of, vdcm_of
from protocol.properties.property import BeforeReclaim, Kind, Owed, Thing, named, said, when


class DescriptorsEndedBeforeReclaim:
    """Work with a PASID leaves a device before its teardown after FREE, and all before reclaim.

    So DMA stops before unbind, and that is before reclaim (O1).  Before a guest's own unbind DMA is
    the guest's to stop: if it does not, the entry that goes ends it.  After FREE the VDCM's work
    stops it and stands before the driver's in the queue; not so if there was no memory to queue it
    (it comes later, by a timer), if the VM has exited (closing stops everything in its own time),
    or if the VDCM, or KVM with a command under way, was lost.
    """

    name: ClassVar[str] = "descriptors-ended-before-reclaim"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "O1, R8"
    source: ClassVar[str] = "v3 01/14 ioasid.rst; J. Pan, 28 Apr 2020"
    observes: ClassVar[tuple[type[Event], ...]] = (
        DescriptorAccepted,
        DescriptorEnded,
        PasidReclaimed,
        GlobalPasidFreed,
        DeviceUnbound,
        SiteFailed,
        VmExited,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.work = BeforeReclaim(machine)
        self.excused: dict[Name, None] = {}
        """VMs that have exited; VDCMs that could not queue; VDCMs and KVMs that are lost."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is DescriptorAccepted:
            return self.work.begins(record, fact.pasid, fact.incarnation, _descriptor(fact))
        if type(fact) is DescriptorEnded:
            self.work.ends(record, fact.pasid, _descriptor(fact))
        elif type(fact) is PasidReclaimed or type(fact) is GlobalPasidFreed:
            return self.work.reclaimed(record, fact)
        if type(fact) is DeviceUnbound:
            return self._unbound(record, fact) if fact.why == "free" else None
        if type(fact) is HostGone:
            self.work.lost(record.stamp.actor)
            self.excused[record.stamp.actor] = None
        elif type(fact) is VmExited:
            self.excused[fact.vm] = None
        elif type(fact) is SiteFailed and fact.site == "vdcm.queue.nomem":
            self.excused[record.stamp.actor] = None
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _unbound(self, record: Record, fact: DeviceUnbound) -> str | None:
        device = fact.device
        if any(who in self.excused for who in (fact.vm, kvm_of(fact.vm), vdcm_of(device), device)):
            return None
        still = [one for one in self.work.open.get(fact.pasid, ()) if one[2] == device]
        n, last = self.work.ended.get(fact.pasid, {}).get(device, (0, ()))
        if not still and (n == 0 or record.saw(device, n)):
            return None
        what = f"{said(still[0])} still there" if still else f"{said(last)} not known to have ended"
        return (
            f"the teardown of {named(fact.pasid, fact.incarnation)} on {device} after FREE began "
            f"at {when(record.stamp)} with {what}"
        )


def _descriptor(fact: DescriptorAccepted | DescriptorEnded) -> Thing:
    return ("descriptor {} in {}", fact.descriptor, fact.device)
