"""Disabling a work queue fails when its put was not the last one, which it hardly ever is.

`ioasid_put` answers whether the PASID was reclaimed, not whether the put succeeded.  The VDCM takes
false for a failure, so a guest that disables its queue, as it should before it unbinds, is told
that it could not.

Kernel: idxd_vdcm_disable_wq in drivers/vfio/mdev/idxd of the Intel data-centre kernel ("DCP").
"""

from typing import Final

from actors.vdcm import Vdcm
from protocol.messages import PutPasidGot

SOURCE: Final = "S25a; Intel data-centre kernel, drivers/vfio/mdev/idxd/vdev.c"


class TakesNotTheLastForFailed(Vdcm):
    """The answer to a put is read the wrong way."""

    __slots__ = ()

    def put_failed(self, got: PutPasidGot) -> bool:
        """Others still hold it."""
        return not got.reclaimed


CLASSES: Final[dict[str, type]] = {"vdcm": TakesNotTheLastForFailed}
