"""Unbind leaves page requests that the guest has not answered, and nobody will any more.

Nothing bounds how long a VMM may take.  Once the device is unbound a late answer is refused, so
what was reported and not answered is owed for ever: the descriptor in the device waits, whoever
drains it waits behind it, and after an abort the number comes back with the answer still owed.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation
from protocol.effects import Out

SOURCE: Final = "S34c; Linux 5.15 intel_svm_page_response, which has no time-out"


class LeavesThePending(IommuDriver):
    """The drain flushes the queue of faults and trusts its consumers."""

    __slots__ = ()

    def answer_pending(self, task: Operation, out: Out) -> None:
        """They will answer, by themselves."""
        self.svms[task.pasid].devices[task.device].pending.clear()
        self.drain_requests(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": LeavesThePending}
