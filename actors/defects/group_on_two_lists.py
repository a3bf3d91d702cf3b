"""A group that iommufd has stays on the list of its device, too.

When the last domain with a handler leaves the device, the fault core takes it off its queue, and
answers and frees what is on the list; the context still has the group, for its user to read and to
answer, and for detach to answer.  An answer goes to the device only while the group is on the list.

Until July 2026, CVE-2026-74520; since groups are freed at that removal (9759ae2cee7c) it matters.
"""

from typing import Final

from actors.iopf import Iopf
from protocol.effects import Out
from protocol.messages import ResponseCode

SOURCE: Final = "738e6f32e61d, iommu: Fix IOPF group ownership UAF; modern bug 3"


class KeepsWhatItGivesAway(Iopf):
    """Two containers have it."""

    __slots__ = ()

    def give_away(self, number: int, out: Out) -> None:
        """It stays where it is."""

    def answer_group(self, number: int, code: ResponseCode, out: Out) -> None:
        """Only what is on the list is pending."""
        if number in self.params[self.groups[number].param].faults:
            super().answer_group(number, code, out)


CLASSES: Final[dict[str, type]] = {"iopf": KeepsWhatItGivesAway}
