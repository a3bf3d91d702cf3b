"""A fault queue whose user does not get it is freed at once, and its file whenever that comes.

The last reference to a file goes by a work that runs later; it then drops the user of an object
that is gone.

Until 2025, CVE-2025-39966.
"""

from typing import Final

from actors.iommufd import Iommufd, objects
from actors.iommufd.fault_files import QUEUE, free_queue
from actors.iommufd.state import Do, Task
from protocol.effects import Out
from protocol.facts import MemoryUsed

SOURCE: Final = "4e034bf045b1, iommufd: Fix race during abort for file descriptors; modern bug 37"


class ReleasesTheFileLater(Iommufd):
    """In another turn."""

    __slots__ = ()

    def abort_queue(self, task: Task, out: Out) -> bool:
        """First the object, then the file."""
        if task.pt:
            out.record(MemoryUsed(QUEUE, objects.memory(self, task.fresh)))
        else:
            task.pt = 1
            free_queue(self, task, out)
            task.then(Do.PAUSE, Do.MADE)
        return True


CLASSES: Final[dict[str, type]] = {"iommufd": ReleasesTheFileLater}
