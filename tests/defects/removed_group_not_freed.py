"""A device that leaves its fault queue has its groups answered, and they are not freed.

What 9759ae2cee7c (CVE-2025-21770, modern bug 32) mends as a leak.  It is not in the bank, since it
breaks nothing: `tests/scenarios/test_removed_groups.py`.  As any file it goes with a command,
`pasidlab explore FILE --defect tests/defects/removed_group_not_freed.py`.
"""

from typing import Final

from actors.iopf import Iopf
from protocol.effects import Out
from protocol.messages import ResponseCode

SOURCE: Final = "9759ae2cee7c, iommu: potential memory leak in iopf_queue_remove_device()"


class LeavesItToItsOwner(Iopf):
    """The answer is given, the memory left."""

    __slots__ = ()

    def remove_group(self, number: int, out: Out) -> None:
        """Whoever has the group frees it."""
        self.answer_group(number, ResponseCode.INVALID, out)


CLASSES: Final[dict[str, type]] = {"iopf": LeavesItToItsOwner}
