"""Linux 5.18: the PASID lives as long as the mm struct, and nobody counts references on it.

The mm gets its PASID with the first bind and keeps it until __mmdrop; the notifier's pin of the
struct is all that keeps the number from a device that is still bound.  IA32_PASID is loaded by the
first #GP of a task and never disabled: it cannot mean anything else.  (This alternative to counting
relies on the order: files are released, and with them the pin, before the last mmdrop.)

What guests meet was not read anew: linux-5.15's, with what it has, stands in.

Kernel: "iommu/sva: Assign a PASID to mm on PASID allocation and free it on mm exit"; "mm: Fix PASID
use-after-free issue".
"""

from typing import ClassVar, Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.native_state import Hold
from actors.iommu_driver.state import Bind, Operation
from actors.process import Process, ia32_pasid
from actors.process.state import Msr
from actors.revisions.linux_5_11 import PlainCounts
from actors.revisions.linux_5_15 import MainlineDriver
from protocol.effects import Out

SOURCE: Final = "701fac40384f, Feb 2022; 2667ed10d9f0, Apr 2022"
DATE: Final = "2022-05-22"


class DoesNotCount(IommuDriver):
    """Neither a reference on the PASID nor anything of the MSR is the driver's."""

    __slots__ = ()
    MM_END: ClassVar[tuple[Hold, ...]] = (Hold.NOTIFIER, Hold.DATA, Hold.PIN)

    def hold_pasid(self, bind: Bind, out: Out) -> None:
        """The mm has it, and we have the mm."""
        self.make_mm_svm(bind, out)

    def load_msr(self, bind: Bind, out: Out) -> None:
        """Each task does it by itself, when it needs it."""
        self.finish(bind, out)

    def entry_was_gone(self, task: Operation, out: Out) -> None:
        """Not present: nothing is flushed, only drained."""
        self.begin_drain(task, out)


class LoadsItsMsr(Process):
    """exc_general_protection: a task whose mm has a PASID gets it, and tries again."""

    __slots__ = ()

    def msr_for_enqcmd(self, out: Out) -> Msr | None:
        """The first ENQCMD of a task faults."""
        if self.msr is None and self.mm.pasid:
            ia32_pasid.load_msr(self, Msr(self.mm.pasid, self.mm.incarnation), out)
        return self.msr


class Driver(MainlineDriver, DoesNotCount):
    """Guests and processes."""

    __slots__ = ()


CLASSES: Final[dict[str, type]] = {"core": PlainCounts, "iommu": Driver, "process": LoadsItsMsr}
