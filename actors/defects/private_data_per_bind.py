"""Each bind of an mm that has a PASID already puts its own svm in the place of the first one's.

FREE and page requests are looked up by the private data, and find the svm of the last bind while
the first still has devices.  The core lets itself be overwritten, too.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Life
from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Bind, Step
from protocol.effects import Out
from protocol.messages import AttachData
from protocol.names import CORE

SOURCE: Final = "S15; T. Gleixner on [PATCH 5/7] x86/mmu: Allocate/free PASID, 28 Apr 2020"


class AttachesAtEachBind(IommuDriver):
    """ioasid_set_data(mm->context.pasid, svm) on the way of every bind."""

    __slots__ = ()

    def joined(self, bind: Bind, out: Out) -> None:
        """A further device comes with an svm of its own."""
        svm = self.svms.get(bind.pasid)
        if bind.errno is not None or svm is None or bind.device in svm.devices:
            super().joined(bind, out)
            return
        bind.step = Step.ATTACH_DATA
        out.send(CORE, AttachData(bind.number, svm.pasid, svm.incarnation, svm.id + 1))


class ReplacesData(IoasidCore):
    """ioasid_set_data asks nobody."""

    __slots__ = ()

    def may_attach_data(self, life: Life) -> bool:
        """Whatever is there."""
        return True


CLASSES: Final[dict[str, type]] = {"iommu": AttachesAtEachBind, "core": ReplacesData}
