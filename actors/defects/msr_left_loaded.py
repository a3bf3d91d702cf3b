"""The last unbind of an mm leaves IA32_PASID valid in its tasks.

Where the PASID goes with the last unbind, a task can go on to submit with a number that is back in
the pool, from user space, asking nobody.  Harmless where the PASID lives as long as the mm.
"""

from typing import ClassVar, Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.native_state import Hold

SOURCE: Final = "R10, O5; load_pasid(mm, PASID_DISABLED) in intel_svm_unbind_mm, 5.10 to 5.17"


class NeverClearsTheMsr(IommuDriver):
    """All but the MSR goes."""

    __slots__ = ()
    MM_END: ClassVar[tuple[Hold, ...]] = (Hold.NOTIFIER, Hold.DATA, Hold.PASID, Hold.PIN)


CLASSES: Final[dict[str, type]] = {"iommu": NeverClearsTheMsr}
