"""The driver submits the device-TLB invalidation and goes on without its completion.

A flush is over when the device says so, and the unit with it.  Submitted and not waited for it may
still lie in the queue when the PASID is put, and the device may translate by its old line as long.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.order import insert, smallest_free
from actors.iommu_driver.state import Operation, Registration, Step
from actors.iommu_driver.teardown import flush_begins
from protocol.effects import Out
from protocol.messages import InvalidateDevTlb

SOURCE: Final = "R4; VT-d specification 5.10, 6.5.2.8 and 6.5.2.11; Linux qi_submit_sync"


class DoesNotWait(IommuDriver):
    """Its answer finds somebody who is through with it."""

    __slots__ = ()

    def invalidate_dev_tlb(self, task: Operation, out: Out) -> None:
        """Posted, and on to the next step."""
        svm = self.svms[task.pasid]
        nobody = Registration(smallest_free(self.tasks))
        insert(self.tasks, nobody.number, nobody)
        flush_begins(self, task, "device-tlb", out)
        out.send(
            self.unit_of(svm, task.device),
            InvalidateDevTlb(nobody.number, task.device, svm.pasid, svm.incarnation),
        )
        task.step = Step.INVALIDATE_DEV_TLB
        self.zero_entry(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": DoesNotWait}
