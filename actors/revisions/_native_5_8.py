"""Native SVA of Linux 5.8: the PASID is the svm's, given back first of all, and nothing drained.

The driver allocates a PASID with the first bind and frees it with the last unbind, before it takes
its notifier off the mm, and it holds no reference beside the allocation.  The drain of page
requests is a comment, and no IA32_PASID exists yet: only a dedicated WQ can be used.

Kernel: drivers/iommu/intel-svm.c, intel_svm_bind_mm and intel_svm_unbind_mm, 5.7.
"""

from typing import ClassVar, Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.native_state import Hold
from actors.iommu_driver.state import Bind, Operation, Svm
from actors.process import Process
from protocol.effects import Out
from protocol.messages import FreePasid
from protocol.names import CORE

SOURCE: Final = "intel_svm_unbind_mm, torvalds/linux 56722a4398a3 (5.7), May 2020"


class FreesAtTheLastUnbind(IommuDriver):
    """No get and no put: the allocation is all that holds the PASID."""

    __slots__ = ()

    def hold_pasid(self, bind: Bind, out: Out) -> None:
        """Nothing but the allocation."""
        self.make_mm_svm(bind, out)

    def drop_pasid(self, task: Operation, svm: Svm, out: Out) -> None:
        """ioasid_free: nobody else counts."""
        out.send(CORE, FreePasid(task.number, self.host_set, svm.pasid, svm.incarnation))


class NativeDriver58(FreesAtTheLastUnbind):
    """The PASID goes first, the drain is missing, the MSR does not exist."""

    __slots__ = ()
    MM_END: ClassVar[tuple[Hold, ...]] = (Hold.PASID, Hold.NOTIFIER, Hold.DATA, Hold.PIN)

    def load_msr(self, bind: Bind, out: Out) -> None:
        """There is none."""
        self.finish(bind, out)

    def entry_was_gone(self, task: Operation, out: Out) -> None:
        """Nothing to tear down: nothing to flush."""
        self.begin_drain(task, out)

    def begin_drain(self, task: Operation, out: Out) -> None:
        """To be done, says a comment."""
        self.torn_down(task, out)


class ForgetsItsPasid(Process):
    """The PASID is the svm's, and the mm has none when the svm goes."""

    __slots__ = ()

    def notifier_left(self) -> None:
        """The next first bind gets another."""
        self.mm.pasid = self.mm.incarnation = 0
