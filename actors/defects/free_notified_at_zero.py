"""FREE is sent when the last reference goes, and the last does not go before FREE is sent.

The holders need FREE as the prompt to put.  Told at zero, they would be told when there is nobody
left to tell: a PASID that is freed while it is bound stays FREE_PENDING for ever.

Source: E. Auger expected it so on v2 6/9; J. Pan's answer of 9 Sep 2020 says why not.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Notice, Transition
from protocol.effects import Out
from protocol.names import Pasid

SOURCE: Final = "S16; E. Auger and J. Pan on v2 6/9 of the IOASID extensions, 9 Sep 2020"


class NotifiesAtZero(IoasidCore):
    """As kref_put calls its release function."""

    __slots__ = ()

    def notify(self, pasid: Pasid, notice: Notice, out: Out) -> None:
        """Not when its owner lets go."""
        if notice.transition is not Transition.FREE:
            super().notify(pasid, notice, out)

    def reclaim(self, pasid: Pasid, out: Out) -> None:
        """Now, when nobody holds it."""
        super().notify(pasid, Notice(Transition.FREE), out)
        super().reclaim(pasid, out)


CLASSES: Final[dict[str, type]] = {"core": NotifiesAtZero}
