"""PASIDs are freed in an RCU callback, which may not sleep, and the core's lock is a mutex.

v1 made the allocator's spinlock a mutex, so that its chain could block.  But when an mm goes away
its PASIDs are freed from the RCU callback of an mmu notifier, and there nothing may sleep.
"""

from typing import Final

from actors.ioasid_core.under_mutex import IoasidCoreUnderMutex
from actors.vfio import Vfio
from actors.vfio.state import Answer, Release, ReleaseStep
from protocol.effects import Out
from protocol.facts import LockReleased, LockTaken

SOURCE: Final = "S5; J.-P. Brucker on v1, 1 Apr 2020"

CALLBACK: Final = ("rcu_callback", "softirq")


class FreesInAnRcuCallback(Vfio):
    """The end of a process: what it had not freed is freed when its mm has no readers any more."""

    __slots__ = ()

    def on_answer(self, answer: Answer, out: Out) -> None:
        """The callback lasts from FreeAllInSet to its answer."""
        task = self.tasks.get(answer.call)
        if not isinstance(task, Release):
            super().on_answer(answer, out)
            return
        before = task.step
        if before is ReleaseStep.FREE_ALL_IN_SET:
            out.record(LockReleased(*CALLBACK, task.name))
        super().on_answer(answer, out)
        if task.step is ReleaseStep.FREE_ALL_IN_SET is not before:
            out.record(LockTaken(*CALLBACK, task.name))


CLASSES: Final[dict[str, type]] = {"core": IoasidCoreUnderMutex, "vfio": FreesInAnRcuCallback}
