"""A registration takes the notifier lock outside the core's lock, everybody else inside it.

Registering for an mm holds nb_lock while it looks the set up; allocating a set holds the core's
lock while it makes the blocks that waited for it active.  Two spinlocks, in both orders.
"""

from typing import Final

from actors.ioasid_core.under_lock import LOCK, IoasidCoreUnderLock, thread
from protocol.effects import Out
from protocol.facts import LockReleased, LockTaken
from protocol.messages import RegisterNotifierMm
from protocol.names import Name

SOURCE: Final = "S23; v2 6/9 of the IOASID extensions, 21 Aug 2020; rule O15"

NB_LOCK: Final = ("nb_lock", "spinlock")


class RegistersCrosswise(IoasidCoreUnderLock):
    """nb_lock first."""

    __slots__ = ()

    def on_register_notifier_mm(self, register: RegisterNotifierMm, sender: Name, out: Out) -> None:
        """The look-up of the set is what takes the core's lock."""
        task = thread(sender, register)
        out.record(LockTaken(*NB_LOCK, task))
        if not self.holder:
            out.record(LockTaken(LOCK, self.KIND, task))
        super().on_register_notifier_mm(register, sender, out)
        if not self.holder:
            out.record(LockReleased(LOCK, self.KIND, task))
        out.record(LockReleased(*NB_LOCK, task))


CLASSES: Final[dict[str, type]] = {"core": RegistersCrosswise}
