"""Each descriptor that goes by the slow path takes a reference that nobody ever puts.

While a virtual device is being migrated the VDCM issues the guest's commands itself, and looks the
guest's number up for each.  The look-up hands out a reference, and the path returns when the
command has been issued: a guest that submits a thousand descriptors leaves a thousand references.

Kernel: the portal writes of drivers/vfio/mdev/idxd/vdev.c, Intel data-centre kernel ("DCP").
"""

from typing import Final

from actors.vdcm import Vdcm, answers
from protocol.effects import Out
from protocol.messages import PutPasid, PutPasidGot

SOURCE: Final = "S25d; Intel data-centre kernel, drivers/vfio/mdev/idxd/vdev.c; rules N6 and L1"


class NeverPutsForACommand(Vdcm):
    """The command has been issued, and that is the end of it."""

    __slots__ = ()

    def put_submission(self, put: PutPasid, out: Out) -> None:
        """The reference is nobody's any more."""
        answers.take(self, PutPasidGot(put.call, reclaimed=False), out)


CLASSES: Final[dict[str, type]] = {"vdcm": NeverPutsForACommand}
