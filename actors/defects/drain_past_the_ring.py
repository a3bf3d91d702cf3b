"""The drain fences the device's requests and does not look whether the ring still holds one.

The fence only brings what the device had posted into the ring.  Somebody has to take it out there:
the PRQ thread, which runs when the scheduler lets it.  A drain that does not wait for it ends with
the request in the ring, and so may the life of the PASID.
"""

from typing import Final

from msgspec.structs import replace

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation
from protocol.effects import Out
from protocol.messages import ReadPrqGot

SOURCE: Final = "S12; Linux 5.9 intel_svm_drain_prq, whose first half scans head to tail"


class DrainsPastTheRing(IommuDriver):
    """Step 2 of the drain is left out (§4.3)."""

    __slots__ = ()

    def ring_scanned(self, task: Operation, ring: ReadPrqGot, out: Out) -> None:
        """Whatever was found, the PRQ thread is not waited for."""
        super().ring_scanned(task, replace(ring, requests=()), out)


CLASSES: Final[dict[str, type]] = {"iommu": DrainsPastTheRing}
