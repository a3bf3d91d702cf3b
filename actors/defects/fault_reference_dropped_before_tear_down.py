"""Detach lets the device leave the fault core's queue before its hardware is off.

The fault core answers what is pending and frees it, and a worker may have it in hand already; the
requests that the device goes on making meet a queue that is not there.
"""

from typing import Final

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import Do, Task, What
from protocol.effects import Out

SOURCE: Final = "f0b9d31c6edd, CVE-2025-38594, 2025; fixes 17fce9d2336d"


class DropsBeforeItTearsDown(IntelIommu):
    """The first step of the books comes before the hardware."""

    __slots__ = ()

    def detach_steps(self, task: Task, out: Out) -> list[Do]:
        """Page faults, hardware, then the rest."""
        steps = super().detach_steps(task, out)
        first = [do for do in steps if do.what is What.IOPF_PUT]
        return [*first, *(do for do in steps if do.what is not What.IOPF_PUT)]


CLASSES: Final[dict[str, type]] = {"intel_iommu": DropsBeforeItTearsDown}
