"""A device returns to service with answers of before its reset still on their way to it.

What it had asked for was brought in, dealt with and answered, and the last answers were not waited
for.  One that is late settles a younger group of the same number, which nobody has dealt with.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.reset_state import Reset, ResetStep
from protocol.effects import Out
from protocol.messages import ReturnToService

SOURCE: Final = "O18, O4; VT-d specification 5.10, 7.7 and 7.9"


class FencesOnce(IommuDriver):
    """In, but not out."""

    __slots__ = ()

    def fence_reset(self, reset: Reset, step: ResetStep, out: Out) -> None:
        """Only what the device had posted is waited for."""
        if step is ResetStep.FENCE_IN:
            super().fence_reset(reset, step, out)
            return
        del self.tasks[reset.number]
        out.send(reset.device, ReturnToService())


CLASSES: Final[dict[str, type]] = {"iommu": FencesOnce}
