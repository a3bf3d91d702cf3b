"""Detach drops the reference on page faults before it blocks and drains the device.

With the last reference the device leaves its fault queue, and what is pending is answered and
freed; a worker may have a group of it in hand, and new requests still come in.

2025 (17fce9d2336d), mended in the same year; CVE-2025-38594.
"""

from typing import Final

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import Do, Task, What
from protocol.effects import Out

SOURCE: Final = "f0b9d31c6edd, iommu/vt-d: Fix UAF on sva unbind with pending IOPFs; modern bug 2"


class DropsTheReferenceFirst(IntelIommu):
    """Off the queue, and then off the device."""

    __slots__ = ()

    def detach_steps(self, task: Task, out: Out) -> list[Do]:
        """The hardware comes second."""
        steps = super().detach_steps(task, out)
        return sorted(steps, key=lambda step: step.what is not What.IOPF_PUT)


CLASSES: Final[dict[str, type]] = {"intel_iommu": DropsTheReferenceFirst}
