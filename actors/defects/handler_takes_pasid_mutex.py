"""VT-d's FREE handler takes pasid_mutex under the core's mutex, which bind takes inside it.

In v1 the chain is a blocking one, so the handler tears down by itself instead of queueing a work.
Bind holds pasid_mutex when it calls the core; free holds the core's mutex when it calls the
handler.  Each then waits for the other for ever.
"""

from typing import Final, TypeGuard

from actors.ioasid_core.under_mutex import IoasidCoreUnderMutex
from actors.iommu_driver import IommuDriver, lock
from actors.iommu_driver.free import answer_notification, notification_begins
from actors.iommu_driver.order import insert, smallest_free
from actors.iommu_driver.state import Operation, Work
from actors.iommu_driver.svm import look_up
from protocol.effects import Out
from protocol.messages import NotifyFree, Verdict
from protocol.names import CORE, Name

SOURCE: Final = "S4; v1 08/10 and 10/10, 25 Mar 2020; J.-P. Brucker, 1 Apr 2020"


class TearsDownInItsHandler(IommuDriver):
    """FREE is worked off there and then."""

    __slots__ = ()

    def on_notify_free(self, free: NotifyFree, core: Name, out: Out) -> None:
        """The mutex first; the reply comes when every device is clean."""
        notification_begins(free, "FREE", out)
        if look_up(self, free.pasid, out) is None:
            answer_notification(free, "FREE", Verdict.DONE, core, out)
            return
        number = smallest_free(self.tasks)
        name = f"notify:{free.call}"
        work = Work(number, free.pasid, name, free.incarnation)
        insert(self.tasks, number, work)
        lock.take(self, work, out)

    def detach_spid(self, task: Operation, out: Out) -> None:
        """No notification from inside one: UNBIND is left out, and the SPID goes with the PASID."""
        if is_handler(task):
            self.svms[task.pasid].has_spid = False
            self.end_svm(task, out)
        else:
            super().detach_spid(task, out)

    def finish(self, task: Operation, out: Out) -> None:
        """The handler returns."""
        if not is_handler(task):
            super().finish(task, out)
            return
        del self.tasks[task.number]
        lock.release(self, task, out)
        free = NotifyFree(int(task.work.partition(":")[2]), task.pasid, task.incarnation)
        answer_notification(free, "FREE", Verdict.OK, CORE, out)


def is_handler(task: Operation) -> TypeGuard[Work]:
    """Whether the task is a handler, and no work of the queue."""
    return isinstance(task, Work) and task.work.startswith("notify:")


CLASSES: Final[dict[str, type]] = {"core": IoasidCoreUnderMutex, "iommu": TearsDownInItsHandler}
