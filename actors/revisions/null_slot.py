"""The handle in the group's table, and a look-up that returns NULL for a free slot (June 2024).

Asked for so that a caller stops at every error.  Its own hole was named with it: NULL is also what
a PASID gives that was attached without a handle, so the caller goes on to attach, and only then is
told EBUSY.
"""

from typing import Final

from actors.revisions._intel_6_12 import Linux612Driver
from actors.revisions.linux_6_12 import Linux612Core
from actors.sva import Sva
from actors.sva.state import Bind, Got, Step
from protocol.domains import NULL
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import Done, Refused
from protocol.messages.iommu_core import AttachHandleGet, AttachHandleGot
from protocol.names import Name

SOURCE: Final = "mail of 7 Jun 2024, Kevin Tian, to [PATCH v6 02/10] iommu: Remove sva handle list"
DATE: Final = "2024-06-07"


class NullSlotCore(Linux612Core):
    """Nothing is no error."""

    __slots__ = ()

    def on_attach_handle_get(self, get: AttachHandleGet, sender: Name, out: Out) -> None:
        """No handle, for whatever reason: NULL."""
        slot = self.table_seen(get.group).get(get.pasid)
        if slot is None or not self.visible(slot):
            out.send(sender, AttachHandleGot(get.call, NULL))
        else:
            super().on_attach_handle_get(get, sender, out)


class NullSlotSva(Sva):
    """Its caller: NULL, and only NULL, is free; it stops at every error."""

    __slots__ = ()

    def go_on_binding(self, bind: Bind, answer: Done | Refused | Got, out: Out) -> None:
        """What 7.3 says as ENOENT."""
        if bind.step is Step.LOOK_UP and answer == AttachHandleGot(answer.call, NULL):
            answer = Refused(answer.call, Errno.ENOENT)
        super().go_on_binding(bind, answer, out)


CLASSES: Final[dict[str, type]] = {
    "iommu_core": NullSlotCore,
    "sva": NullSlotSva,
    "intel_iommu": Linux612Driver,
}
