"""Replace drops the old domain's reference on page faults before its entry is torn down.

If the new domain has no handler the device leaves the fault core's queue with its old entry present
and its requests undrained: what f0b9d31c6edd mended for detach.  Linux 7.3 has this order.
"""

from typing import Final

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import Do, Task, What
from protocol.effects import Out

SOURCE: Final = "derived: iopf_for_domain_replace of Linux 7.3 and its callers; f0b9d31c6edd"


class DropsTheOldOneFirst(IntelIommu):
    """The new one's reference, then the old one's, then the hardware."""

    __slots__ = ()

    def attach_steps(self, task: Task, out: Out) -> list[Do]:
        """As iopf_for_domain_replace does both."""
        steps = super().attach_steps(task, out)
        dropped = [do for do in steps if do.what is What.IOPF_PUT]
        rest = [do for do in steps if do.what is not What.IOPF_PUT]
        at = 1 + next(k for k, do in enumerate(rest) if do.what is What.IOPF_GET)
        return [*rest[:at], *dropped, *rest[at:]]


CLASSES: Final[dict[str, type]] = {"intel_iommu": DropsTheOldOneFirst}
