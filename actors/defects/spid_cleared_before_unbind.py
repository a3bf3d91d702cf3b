"""The SPID is cleared before UNBIND is sent, so UNBIND carries the invalid one.

KVM finds its entry by the SPID.  It takes the invalid one for out of range, and the entry stays
VALID with its reference.

Kernel: ioasid_detach_spid of drivers/iommu/ioasid.c, v3 10/14, 28 Sep 2020; V4 notifies first.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Transition, life_of
from protocol.effects import Out
from protocol.names import INVALID_PASID, Gpasid, Pasid

SOURCE: Final = "S18; v3 10/14 of the IOASID extensions, 28 Sep 2020, mended in V4 09/18"


class ClearsFirst(IoasidCore):
    """Two lines in the wrong order."""

    __slots__ = ()

    def told_spid(self, pasid: Pasid, transition: Transition, out: Out) -> Gpasid:
        """UNBIND names what is left."""
        if transition is Transition.UNBIND:
            super().clear_spid(pasid, out)
        return super().told_spid(pasid, transition, out)

    def clear_spid(self, pasid: Pasid, out: Out) -> None:
        """At the end of UNBIND it has gone already; a BIND that nobody hears clears as ever."""
        if life_of(self, pasid).spid != INVALID_PASID:
            super().clear_spid(pasid, out)


CLASSES: Final[dict[str, type]] = {"core": ClearsFirst}
