"""The cleanup work of FREE runs when somebody else has cleaned up, and hits the number's next life.

Whoever takes down the last device ends the svm and puts its reference, although the work that FREE
queued is still to come.  Then the number is free for another life, and the work, which knows only
the number, detaches the new owner's SPID and data and puts the new owner's reference.

Kernel: the FREE handler and its work in drivers/iommu/intel/svm.c, "[PATCH V4 14/18]": the work is
not cancelled and does not ask whose svm it finds.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation, Work
from protocol.effects import Out

SOURCE: Final = "S10b; [PATCH V4 14/18], 27 Feb 2021, read for its order of put and work; rule R9"


class EndsWhatTheWorkShouldEnd(IommuDriver):
    """A queued work keeps nobody from ending the svm that it was queued for."""

    __slots__ = ()

    def end_svm(self, task: Operation, out: Out) -> None:
        """Whoever comes last ends it at once."""
        if not isinstance(task, Work):
            self.svms[task.pasid].work_queued = False
        super().end_svm(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": EndsWhatTheWorkShouldEnd}
