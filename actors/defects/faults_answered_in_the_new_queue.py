"""Replace looks for what is pending in the queue of the page table that comes.

What came under the old handle is in the old one's queue: it stays there, under a handle that is
freed, and its device waits until its user answers what he cannot know to be over.

2025 (fb21b1568ada) to 2026.
"""

from typing import Final

from actors.iommufd import Iommufd

SOURCE: Final = "iommufd: wrong hwpt for iommufd_auto_response_faults on replace; modern bug 4"


class AnswersInTheNewQueue(Iommufd):
    """The other of two page tables."""

    __slots__ = ()

    def queue_of_faults(self, _old: int, new: int) -> int:
        """Of the one that is attached now."""
        return self.pagetable(new).fault


CLASSES: Final[dict[str, type]] = {"iommufd": AnswersInTheNewQueue}
