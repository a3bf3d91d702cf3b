"""The VT-d driver binds a PASID that it did not allocate, and so takes no reference on it.

When its owner frees the PASID, nothing says that an entry still translates for it: the number is
somebody else's as soon as whoever does count has put.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.ids import forget
from actors.iommu_driver.state import Bind, Operation, Work
from actors.iommu_driver.svm import give_up
from protocol.effects import Out
from protocol.facts import MemoryFreed, SvmFreed, WorkEnded

SOURCE: Final = "S6; intel_svm_bind_gpasid of mainline, 56722a4398a3 (May 2020) to 5.15"


class HoldsNoReference(IommuDriver):
    """The svm comes and goes without a word to the core."""

    __slots__ = ()

    def get_reference(self, bind: Bind, out: Out) -> None:
        """There may be no memory, and that is all."""
        errno = out.may_fail(self.SVM)
        if errno is None:
            self.make_svm(bind, out)
        else:
            give_up(self, bind, errno, out)

    def put_reference(self, task: Operation, out: Out) -> None:
        """The PASID is its owner's."""
        svm = forget(self, task.pasid)
        if isinstance(task, Work):
            out.record(WorkEnded(task.work, svm.pasid, svm.incarnation))
        out.record(SvmFreed(svm.pasid, svm.incarnation, svm.id))
        out.record(MemoryFreed("svm", svm.object()))
        self.finish(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": HoldsNoReference}
