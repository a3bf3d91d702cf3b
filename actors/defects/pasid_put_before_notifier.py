"""Unbind of an mm gives up the PASID first, while notifier, MSR and private data still mean it.

A release callback, a task with the MSR loaded or a look-up may come in between, and uses what may
be somebody else's by then.
"""

from typing import ClassVar, Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.native_state import Hold

SOURCE: Final = "O5; intel_svm_unbind_mm: ioasid_free, later ioasid_put, comes first, 5.7 to 5.12"


class PutsFirst(IommuDriver):
    """PASID, notifier, MSR, data."""

    __slots__ = ()
    MM_END: ClassVar[tuple[Hold, ...]] = (
        Hold.PASID,
        Hold.NOTIFIER,
        Hold.MSR,
        Hold.DATA,
        Hold.PIN,
    )


CLASSES: Final[dict[str, type]] = {"iommu": PutsFirst}
