"""VT-d's handler lets go of pasid_mutex, also for events for which it never took it.

Only FREE takes the mutex, but every event leaves through the same exit.  BIND comes in the middle
of a bind, so what is let go is the binder's: another bind or unbind comes in, and the binder lets
go a second time.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Block, Transition
from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import MUTEX, Bind, Locker, Operation, Step
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import LockReleased
from protocol.messages import NotifyAlloc, NotifyBind, NotifyUnbind
from protocol.names import Name

SOURCE: Final = "S3; v1 10/10, 25 Mar 2020; K. Tian, 27 Mar 2020"


class TellsEverybody(IoasidCore):
    """One chain: whoever is on it hears everything."""

    __slots__ = ()

    def hears(self, block: Block, transition: Transition, number: int) -> bool:
        """Also BIND and UNBIND, for which VT-d's block is called in v1."""
        return not block.token or super().hears(block, transition, number)


class UnlocksWhatItNeverTook(IommuDriver):
    """The handler's one exit."""

    __slots__ = ()

    def on_set_notification(
        self, notification: NotifyAlloc | NotifyBind | NotifyUnbind, core: Name, out: Out
    ) -> None:
        """Whoever holds the mutex, holds it no more."""
        if not isinstance(notification, NotifyAlloc):
            out.record(LockReleased(MUTEX, "mutex", f"notify:{notification.call}"))
            self.pasid_mutex.holder = None
        super().on_set_notification(notification, core, out)

    def may_let_go(self, task: Locker) -> bool:
        """A mutex that is not held is let go all the same."""
        return True

    def bind_goes_on(self, bind: Bind, out: Out) -> None:
        """Who came in meanwhile may have unbound what was being bound."""
        if self.lost_its_svm(bind):
            bind.errno = Errno.EINVAL
            self.finish(bind, out)
        else:
            super().bind_goes_on(bind, out)

    def lost_its_svm(self, task: Operation) -> bool:
        """Whether somebody else ended it."""
        return task.step is Step.ATTACH_SPID and task.pasid not in self.svms


CLASSES: Final[dict[str, type]] = {"core": TellsEverybody, "iommu": UnlocksWhatItNeverTook}
