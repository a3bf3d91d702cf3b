"""Replace writes the new entry over the old one while it is present, 16 bytes at a time.

Hardware may fetch a mixture, and what it has cached of the old one is not flushed before.
"""

from typing import Final

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import Do, Task, What
from actors.iommu_unit import IommuUnit, table
from actors.iommu_unit.levels import Inbox as Levels
from protocol.effects import Out
from protocol.messages import Done
from protocol.messages.pasid_table import SetUpEntry
from protocol.names import Name

SOURCE: Final = "c3b1edea3791, CVE-2026-45945, 2026"


class ReplacesInPlace(IntelIommu):
    """Hitless."""

    __slots__ = ()

    def attach_steps(self, task: Task, out: Out) -> list[Do]:
        """Nothing is torn down."""
        return [do for do in super().attach_steps(task, out) if do.what is not What.TEAR_DOWN]

    def write_entry(self, task: Task, name: Name, out: Out) -> bool:
        """Present or not."""
        self.table.pop((task.place.device, task.place.pasid), None)
        return super().write_entry(task, name, out)


class TakesWhatIsWritten(IommuUnit):
    """The table is memory: hardware refuses nothing."""

    __slots__ = ()

    def on_level(self, message: Levels, driver: Name, out: Out) -> None:
        """Also while it is present."""
        if isinstance(message, SetUpEntry):
            table.set_up(self, message, out)
            out.send(driver, Done(message.call))
        else:
            super().on_level(message, driver, out)


CLASSES: Final[dict[str, type]] = {"intel_iommu": ReplacesInPlace, "unit": TakesWhatIsWritten}
