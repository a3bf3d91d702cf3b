"""Teardown after FREE drops the driver's reference once per device, not once per PASID.

The driver took one reference at the first bind.  With the first device it is gone, and the PASID
can be reclaimed while the others are still bound to it.

Kernel: drivers/iommu/intel/svm.c of Yi Liu's linux-vsva, 2020, where the put is inside the walk.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation, Step, Work
from actors.iommu_driver.svm import REASON
from protocol.effects import Out
from protocol.messages import PutPasid
from protocol.names import CORE

SOURCE: Final = "S2; drivers/iommu/intel/svm.c of linux-vsva, 69cb72063065, 2020"


class PutsPerDevice(IommuDriver):
    """The put moved into the loop, and stayed at its end."""

    __slots__ = ()

    def next_device(self, work: Work, out: Out) -> None:
        """A device is through: one put for it, if another one follows."""
        svm = self.svms.get(work.pasid)
        if svm is None or not work.device or not svm.devices or work.step is Step.PUT_PASID:
            super().next_device(work, out)
            return
        work.step = Step.PUT_PASID
        out.send(CORE, PutPasid(work.number, svm.pasid, svm.incarnation, REASON))

    def finish(self, task: Operation, out: Out) -> None:
        """A put in the middle is answered like the last one; the svm is still there then."""
        if isinstance(task, Work) and task.step is Step.PUT_PASID and task.pasid in self.svms:
            self.next_device(task, out)
        else:
            super().finish(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": PutsPerDevice}
