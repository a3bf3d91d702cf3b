"""Each bind stores an svm of its own as private data, over the one that is there.

FREE and page requests find the svm by the private data.  With two binds they find the second, and
the first is nobody's: its devices are torn down by no one who goes that way.

Source: T. Gleixner on "x86/mmu: Allocate/free PASID", 28 Apr 2020, of native SVA; here the bind of
a guest's PASID to the further devices of its group.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Life
from actors.iommu_driver import IommuDriver
from actors.iommu_driver.ids import free_id
from actors.iommu_driver.state import Bind, Step
from protocol.effects import Out
from protocol.messages import AttachData
from protocol.names import CORE

SOURCE: Final = "S15; T. Gleixner and J. Pan on x86/mmu: Allocate/free PASID, 26 and 28 Apr 2020"


class ReplacesData(IoasidCore):
    """ioasid_set_data: what is there is not looked at."""

    __slots__ = ()

    def may_attach_data(self, life: Life) -> bool:
        """Whatever it has."""
        return True


class AttachesPerDevice(IommuDriver):
    """Not only the first bind attaches."""

    __slots__ = ()

    def make_sdev(self, bind: Bind, out: Out) -> None:
        """A further device: another svm, so another pointer."""
        if bind.first or bind.step is Step.ATTACH_DATA:
            super().make_sdev(bind, out)
            return
        svm = self.svms[bind.pasid]
        bind.step = Step.ATTACH_DATA
        out.send(CORE, AttachData(bind.number, svm.pasid, svm.incarnation, free_id(self)))


CLASSES: Final[dict[str, type]] = {"core": ReplacesData, "iommu": AttachesPerDevice}
