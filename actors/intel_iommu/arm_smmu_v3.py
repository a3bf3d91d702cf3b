"""The SMMUv3 driver, where it is another than VT-d's: one table of a device has its RID and PASIDs.

That table of context descriptors is there while the RID has a stage 1 or a PASID anything; with a
stage 2 at the RID there is none, so neither does a PASID get one nor does the RID change to a stage
2 under PASIDs.  An mm that exits is not attached any more, and its descriptor stays until the
detach.  That drains here, as VT-d's; Linux 7.3 leaves it to the driver of the device.  The unit is
that of VT-d: its FPD stands for a descriptor with EPD0, and a replace is one after the other.

Kernel: drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c and arm-smmu-v3-sva.c of Linux 7.3.  §8.
"""

from dataclasses import dataclass, field

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import Task
from protocol.domains import BLOCKED, SVA, made_domain
from protocol.effects import Out
from protocol.errors import Errno
from protocol.machine import Device
from protocol.messages import Done, Refused
from protocol.messages.probing import AttachDev
from protocol.names import Name


@dataclass(slots=True)
class ArmSmmuV3(IntelIommu):
    """`rids`: the domain of each RID that is not at its default one, which has a stage 1."""

    rids: dict[Name, Name] = field(default_factory=dict)

    def on_attach_dev(self, attach: AttachDev, core: Name, out: Out) -> None:
        """EINVAL another SMMU's; EBUSY a stage 2, while PASIDs are in use."""
        device = self.devices[attach.device]
        errno = None
        if not self.is_ours(attach.domain, device):
            errno = Errno.EINVAL
        elif self.stage_of(attach.domain) != 1 and self.has_pasids(device.name):
            errno = Errno.EBUSY
        if errno is None:
            self.rids[attach.device] = attach.domain
        if attach.call:
            out.send(core, Done(attach.call) if errno is None else Refused(attach.call, errno))

    # --- What the table is needed for -------------------------------------------------------------

    def stage_of(self, name: Name) -> int:
        """Of a domain with page tables: those of the machine say it, others have a stage 1."""
        return next((one.stage for one in self.given if one.name == name), 1)

    def is_ours(self, name: Name, device: Device) -> bool:
        """Whether the domain is of the device's own SMMU, or static."""
        unit = next((one.unit for one in self.given if one.name == name), made_domain(name).unit)
        return unit in ("", device.unit)

    def has_pasids(self, device: Name) -> bool:
        """Whether SSIDs are in use."""
        return any(at.device == device for one in self.domains.values() for at in one.places)

    def table_can_be_had(self, device: Name, out: Out) -> bool:
        """It is there, or the RID translates nothing that would have to move into it."""
        rid = self.rids.get(device)
        if rid is None or self.has_pasids(device):
            return True
        return self.domain(rid, out).kind == BLOCKED or self.stage_of(rid) == 1

    # --- Who is refused ---------------------------------------------------------------------------

    def sva_refusal(self, device: Device) -> Errno | None:
        """ARM_SMMU_FEAT_SVA: it walks the CPU's tables, or it does not."""
        return Errno.EOPNOTSUPP if self.is_without(device.unit, "svm") else None

    def incompatible(self, task: Task, out: Out) -> Errno | None:
        """EINVAL an mm that exits, another SMMU, a stage 2, or no table of descriptors."""
        device = self.devices.get(task.place.device)
        if device is None or device.pasids == 0:
            return Errno.EOPNOTSUPP
        domain = self.domain(task.domain, out)
        gone = domain.kind == SVA and domain.released
        if gone or not self.is_ours(domain.name, device) or self.stage_of(domain.name) != 1:
            return Errno.EINVAL
        return None if self.table_can_be_had(device.name, out) else Errno.EINVAL

    def iopf_get(self, task: Task, name: Name, out: Out) -> bool:
        """A device without PRI or stalls has ways of its own, whatever the domain."""
        if not self.devices[task.place.device].pri:
            return True
        return IntelIommu.iopf_get(self, task, name, out)
