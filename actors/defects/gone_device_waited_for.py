"""An invalidation for a device that is gone is tried for ever, and its unit's others wait.

Nobody answers, the queue reports a time-out, and the driver submits the same again, with its locks
held: so it was until 2024.  Each try ends as the one before, so here one wait stands for all.
There is one queue per unit: the teardown of any other PASID, on whatever device, comes behind.
"""

from typing import Final

from actors.iommu_unit import IommuUnit
from protocol.effects import Out
from protocol.messages import HostLost

SOURCE: Final = (
    "S48; hard lockup on surprise removal, v13, 22 Feb 2024; VT-d specification 6.5.2.11"
)


class TriesForEver(IommuUnit):
    """Neither is a gone device skipped, nor is a time-out taken for an answer."""

    __slots__ = ()

    def on_host_lost(self, lost: HostLost, out: Out) -> None:
        """The next try will do it."""


CLASSES: Final[dict[str, type]] = {"unit": TriesForEver}
