"""When a device of a group refuses, all are undone: also those that never had the domain.

Their drivers are told to take a domain away that they do not find, and warn, or clean up what
belongs to somebody else.
"""

from typing import Final

from actors.iommu_core import IommuCore
from actors.iommu_core.state import DriverCall, Task

SOURCE: Final = "modern bug 10: b025dea63cde, fixes 16603704559c (April 2024)"


class UndoesEveryDevice(IommuCore):
    """The walk back does not stop where the walk there did."""

    __slots__ = ()

    def undo(self, task: Task) -> list[DriverCall]:
        """Those that succeeded, the one that refused, and those that were not asked yet."""
        return [self.back(call) for call in (*task.made, *task.calls)]


CLASSES: Final[dict[str, type]] = {"iommu_core": UndoesEveryDevice}
