"""A PASID is torn down and put with its page requests still on their way.

The request is looked up under the number, so it is the number's next owner who answers it, and
whose page is faulted in.  How bad that is depends on who else is careful: the answer carries no
translation, the device only asks again, so memory is touched (N1) only if DMA still runs as well.

Linux 5.8 has the drain as a remark of work to do.  In the data-centre kernel the VDCM knows nothing
of page requests either.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation
from actors.vdcm import Vdcm
from actors.vdcm.state import Slot
from protocol.effects import Out

SOURCE: Final = "S12; T. Gleixner to J. Pan, 28 Apr 2020; Linux 5.8 intel-svm.c, 56722a4398a3"


class EndsWithoutADrain(IommuDriver):
    """Caches flushed: that is all (§4.3)."""

    __slots__ = ()

    def begin_drain(self, task: Operation, out: Out) -> None:
        """The requests that passed the gate before it was closed are left where they are."""
        self.torn_down(task, out)


class SettlesNothing(Vdcm):
    """A slot is put as soon as its descriptors have ended (§4.6)."""

    __slots__ = ()

    def must_settle(self, _slot: Slot) -> bool:
        """What an aborted descriptor has asked for is nobody's concern."""
        return False


CLASSES: Final[dict[str, type]] = {"iommu": EndsWithoutADrain, "vdcm": SettlesNothing}
