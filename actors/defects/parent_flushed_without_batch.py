"""The parent of a nested domain has cache tags, and no batch for their commands.

The batch is made with the first tag of the domain itself; a parent that is attached nowhere has
only those of what is nested on it.
"""

from typing import Final

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import CacheTag, Task
from protocol.effects import Out
from protocol.facts import MemoryUsed
from protocol.messages import AnyMessage

SOURCE: Final = "74536f91962d, 2024"


class HasNoBatch(IntelIommu):
    """The pointer is NULL."""

    __slots__ = ()

    def flush_of(self, task: Task, tag: CacheTag, out: Out) -> AnyMessage:
        """Nobody looks at it before."""
        if not self.domains[task.domain].places:
            out.record(MemoryUsed("qi_batch", "ERR_PTR(NULL)"))
        return super().flush_of(task, tag, out)


CLASSES: Final[dict[str, type]] = {"intel_iommu": HasNoBatch}
