"""What several published revisions have in common, and the sound protocol has not.

Each class is one rule as it was posted.  Where a revision says no more of a user than these, that
is because no code of it was ever posted.
"""

from actors.defects.kvm_ignores_a_failed_get import IgnoresAFailedGet
from actors.ioasid_core.under_lock import IoasidCoreUnderLock
from actors.iommu_driver import IommuDriver
from actors.kvm import Kvm, notifications
from actors.ordered_workqueue import OrderedWorkqueue
from protocol.effects import Out
from protocol.messages import NotifyFree, Priority


class SystemWorkqueue(OrderedWorkqueue):
    """v2, v3: schedule_work.  Works begin in any order, and several run at once."""

    __slots__ = ()

    def may_begin(self) -> bool:
        """There are as many threads as works."""
        return True

    def turn(self, out: Out) -> int:
        """Whichever thread is first."""
        return out.draw(len(self.queued))


class NotifiedLast(IommuDriver):
    """All: VT-d's notifier block names no priority, which is LAST (S19)."""

    __slots__ = ()

    def notifier_priority(self) -> Priority:
        """What a block is that says nothing."""
        return Priority.LAST


class IgnoresFree(Kvm):
    """v1, V4, DCP: the table changes with BIND and UNBIND only."""

    __slots__ = ()

    def on_notify_free(self, free: NotifyFree, out: Out) -> None:
        """Called, and not concerned."""
        notifications.clear(self, free, None, out)


class PublishedKvm(IgnoresAFailedGet, IgnoresFree):
    """V4, DCP: what a get answers is not looked at (S21)."""

    __slots__ = ()


class UnderSpinlock(IoasidCoreUnderLock):
    """v2 and later: chains are atomic."""

    __slots__ = ()
