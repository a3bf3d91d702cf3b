"""The core refuses to notify of FREE, its own as well: the check is meant for users.

Users shall notify of BIND and UNBIND only, so the function that sends refuses everything up to
FREE.  The core's free calls the same function and does not look at what it returns.

Kernel: ioasid_notify of drivers/iommu/ioasid.c, v3 10/14, 28 Sep 2020; V4 made it static, so
that there is nobody to be refused.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Notice, Transition
from protocol.effects import Out
from protocol.names import Pasid

SOURCE: Final = "S17; v3 10/14 of the IOASID extensions, 28 Sep 2020"


class RefusesItsOwn(IoasidCore):
    """ALLOC is 1 and FREE is 2; what is not above 2 is EINVAL."""

    __slots__ = ()

    def notify(self, pasid: Pasid, notice: Notice, out: Out) -> None:
        """The error goes to nobody."""
        if notice.transition not in (Transition.ALLOC, Transition.FREE):
            super().notify(pasid, notice, out)


CLASSES: Final[dict[str, type]] = {"core": RefusesItsOwn}
