"""The IOTLB is flushed for the domain of native entries, whatever domain the entry was of.

Through a nested entry the IOTLB holds lines of the second level's domain, and only a flush of that
domain, which has to be read before the entry is zeroed, reaches them.  A flush of the domain that
all native first-level entries have in common reaches lines of nobody here.
"""

from typing import Final

from msgspec.structs import replace

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation
from protocol.effects import Out

SOURCE: Final = "O2, matching granularity; VT-d specification 5.10, table 28; FLPT_DEFAULT_DID"

FLPT_DEFAULT_DID: Final = 0
"""Of no guest here: the domains of VMs count from 1."""


class FlushesTheNativeDomain(IommuDriver):
    """The domain id that the teardown goes by is not the entry's."""

    __slots__ = ()

    def invalidate_iotlb(self, task: Operation, out: Out) -> None:
        """With the default domain in the place of the old one."""
        devices = self.svms[task.pasid].devices
        own = devices[task.device]
        devices[task.device] = replace(own, did=FLPT_DEFAULT_DID)
        super().invalidate_iotlb(task, out)
        devices[task.device] = own


CLASSES: Final[dict[str, type]] = {"iommu": FlushesTheNativeDomain}
