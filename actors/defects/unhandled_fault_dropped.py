"""A page request that nobody handles is dropped without an answer.

The device has given a credit for it and waits for ever.  AMD's handler did so with what it found
invalid.
"""

from typing import Final

from actors.iopf import Iopf, reporting
from actors.iopf.state import Report
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.iopf import FaultUnhandled

SOURCE: Final = "bc1f5ec826bf, iommu/amd: PPR without response; modern bug 57"


class DropsTheUnhandled(Iopf):
    """The driver hears of it, the device does not."""

    __slots__ = ()

    def unhandled(self, task: Report, out: Out) -> None:
        """EINVAL, and that is all."""
        request = task.request
        where = (request.device, request.pasid, request.incarnation, request.group)
        if request.last:
            out.record(FaultUnhandled(*where))
        reporting.end(self, task, Errno.EINVAL, out)


CLASSES: Final[dict[str, type]] = {"iopf": DropsTheUnhandled}
