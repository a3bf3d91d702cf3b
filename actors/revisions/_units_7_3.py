"""The drivers of other units in Linux 7.3, which detach a PASID without waiting for its faults.

iopf_queue_flush_dev is called by VT-d's drain and by AMD's detach of a whole device; who detaches a
PASID has to have stopped and drained the device, as the API says.
"""

from actors.intel_iommu.amd import AmdIommu
from actors.intel_iommu.arm_smmu_v3 import ArmSmmuV3
from actors.intel_iommu.state import Do, Task, What
from protocol.effects import Out


class Linux73Amd(AmdIommu):
    """What a release has taken apart is not there to be drained."""

    __slots__ = ()

    def after_zero(self, _task: Task) -> list[What]:
        """Nothing more."""
        return []

    def detach_steps(self, task: Task, out: Out) -> list[Do]:
        """Of a record that is there."""
        return super().detach_steps(task, out) if self.domain_of(task) else []


class Linux73Smmu(ArmSmmuV3):
    """The descriptor of an mm that has gone is cleared, and the device's TLB flushed."""

    __slots__ = ()

    def after_zero(self, _task: Task) -> list[What]:
        """Nothing more."""
        return []

    def silenced_steps(self, _task: Task) -> list[Do]:
        """The rest of it."""
        return [Do(What.ZERO), Do(What.FETCH)]
