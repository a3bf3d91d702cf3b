"""Teardown frees the svm inside the walk over its devices, whose end is in the svm itself.

The walk takes each device off the list, and frees the svm when none is left; the head that tells it
to stop is a field of the svm.

Kernel: pasid_status_change of drivers/iommu/intel-svm.c, v1 10/10, 25 Mar 2020, and the guest SVA
patch of 16 Dec 2019 before it.  V4 walks first and frees after the loop.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Work
from protocol.effects import Out
from protocol.facts import MemoryFreed

SOURCE: Final = "S2; K. Tian on v1 10/10 of the IOASID extensions, 27 Mar 2020"


class FreesInsideTheWalk(IommuDriver):
    """The last turn of the loop reads what the turn before it has freed."""

    __slots__ = ()

    def next_device(self, work: Work, out: Out) -> None:
        """The next element, or the end, is found through the svm."""
        svm = self.svms.get(work.pasid)
        if svm is not None and work.device and not svm.devices:
            out.record(MemoryFreed("svm", svm.object()))
        super().next_device(work, out)


CLASSES: Final[dict[str, type]] = {"iommu": FreesInsideTheWalk}
