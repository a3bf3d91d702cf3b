"""ATS is off when the cache tags are unassigned, so the one of the device TLB is not looked for.

It stays with the domain, and with a device that may go.
"""

from typing import Final

from msgspec.structs import replace

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import Task
from protocol.effects import Out
from protocol.names import Name

SOURCE: Final = "1f2557e08a61, CVE-2024-56669, 2024"


class SwitchesAtsOffFirst(IntelIommu):
    """And on again for the next one."""

    __slots__ = ()

    def unassign_tags(self, task: Task, name: Name, out: Out) -> bool:
        """By the flag as it is then."""
        device = self.devices[task.place.device]
        self.devices[device.name] = replace(device, ats=False)
        over = super().unassign_tags(task, name, out)
        self.devices[device.name] = device
        return over


CLASSES: Final[dict[str, type]] = {"intel_iommu": SwitchesAtsOffFirst}
