"""A second free of a PASID that is FREE_PENDING sends a second FREE.

Subscribers count on being told once: each transition is one notification.  A guest frees, its files
are closed, and the set's PASIDs are freed once more.

Kernel: ioasid_free of drivers/iommu/ioasid.c, "[PATCH V4 09/18]", without its test for
FREE_PENDING.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Notice, Transition, find_life
from protocol.effects import Out
from protocol.lifecycle import State
from protocol.names import Name, Pasid

SOURCE: Final = 'S39; v3 01/14 and V4 ioasid.rst, "Level Sensitivity"'


class NotifiesEachFree(IoasidCore):
    """The level is told, not the edge."""

    __slots__ = ()

    def free(self, pasid: Pasid, number: int, by: Name, out: Out) -> None:
        """Pending before, so this is another one."""
        life = find_life(self, pasid)
        again = life is not None and life.set == number and life.state is State.FREE_PENDING
        super().free(pasid, number, by, out)
        if again:
            self.notify(pasid, Notice(Transition.FREE), out)


CLASSES: Final[dict[str, type]] = {"core": NotifiesEachFree}
