"""IOASID extensions for guest SVA, v3: set-private IDs, and a FREE that reaches nobody.

The helper that sends refuses FREE, as if a user had asked for it, and would miss the set's chain
(S17); UNBIND names no SPID any more (S18).  A get of what is pending is ENOENT.  VFIO v7, of the
same month, unbinds every device of the group when a bind fails (S8).
"""

from typing import Final

from actors.defects.free_never_notified import RefusesItsOwn
from actors.defects.rollback_undoes_earlier_bind import RollsBackTheGroup
from actors.defects.set_chain_missed import MissesTheSet
from actors.defects.spid_cleared_before_unbind import ClearsFirst
from actors.revisions import v2
from actors.revisions._posted import UnderSpinlock
from protocol.errors import Errno
from protocol.messages import GetPasid

DATE: Final = "2020-09-28"
SOURCE: Final = "S8, S17-S19, S26, S27; v3 of the IOASID extensions, 28 Sep 2020; VFIO v7"


class Core(RefusesItsOwn, MissesTheSet, ClearsFirst, UnderSpinlock):
    """ioasid_notify with its two tests."""

    __slots__ = ()

    def get_refusal(self, get: GetPasid) -> Errno | None:
        """The document's errno for what is pending."""
        errno = super().get_refusal(get)
        return Errno.ENOENT if errno is Errno.EBUSY else errno


CLASSES: Final[dict[str, type]] = {**v2.CLASSES, "core": Core, "vfio": RollsBackTheGroup}
