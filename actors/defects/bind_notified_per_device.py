"""BIND is sent for every device that a PASID is bound to, not for the first one only.

KVM keeps one entry for a guest's number.  A second BIND finds it VALID, and takes it for another's.

Kernel: intel_svm_bind_gpasid in v1 10/10, 25 Mar 2020, called ioasid_notify in each bind; the
document's rule, BIND with the first and UNBIND with the last, came in v2.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Notice, Transition, find_life
from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Bind
from protocol.effects import Out
from protocol.messages import AttachSpid
from protocol.names import Name

SOURCE: Final = "S9; v1 10/10 of the IOASID extensions, 25 Mar 2020"


class NotifiesOnRequest(IoasidCore):
    """Like v1's ioasid_notify: whoever asks, as often as he asks."""

    __slots__ = ()

    def on_attach_spid(self, attach: AttachSpid, sender: Name, out: Out) -> None:
        """The same SPID once more is one more BIND."""
        life = find_life(self, attach.pasid)
        if life is not None and life.spid == attach.spid:
            self.notify(attach.pasid, Notice(Transition.BIND, sender, attach.call), out)
        else:
            super().on_attach_spid(attach, sender, out)


class NotifiesEachBind(IommuDriver):
    """A bind does not know whether it is the first."""

    __slots__ = ()

    def link_device(self, bind: Bind, out: Out) -> None:
        """Every bind ends with BIND."""
        bind.first = True
        super().link_device(bind, out)


CLASSES: Final[dict[str, type]] = {"core": NotifiesOnRequest, "iommu": NotifiesEachBind}
