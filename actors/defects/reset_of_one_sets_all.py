"""The end of a device's reset gives the PASIDs of its group to all devices of the group.

A sibling that is still in its own reset is so let in again, to memory that it may not reach.
"""

from typing import Final

from actors.iommu_core import IommuCore
from actors.iommu_core.state import DriverCall, GroupState, Task
from protocol.domains import BLOCKING
from protocol.effects import Out
from protocol.messages.iommu_core import ResetDone

SOURCE: Final = "modern bug 27: 1615e8896a8f, b296ca1fb43a, fixes c279e83953d9 (2026)"


class SetsAll(IommuCore):
    """What is the group's is done to the group."""

    __slots__ = ()

    def start(self, group: GroupState, task: Task, out: Out) -> None:
        """Also to the siblings."""
        if isinstance(task.request, ResetDone):
            task.calls = [
                DriverCall(name, one.pasid, one.incarnation, one.domain, BLOCKING.name)
                for one in task.calls
                for name in group.devices
            ]
        super().start(group, task, out)


CLASSES: Final[dict[str, type]] = {"iommu_core": SetsAll}
