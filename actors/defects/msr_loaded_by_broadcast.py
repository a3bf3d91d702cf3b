"""Bind loads the PASID into the MSRs of all threads, by interrupts, instead of when they need it.

One that is inside the kernel with its registers saved gets its old ones back on the way out: it
counts as activated, and has nothing.
"""

from typing import Final

from actors.process.sva_process import SvaProcess
from actors.process.sva_state import Task
from protocol.effects import Out

SOURCE: Final = "x86/cpufeatures: Force disable ENQCMD, remove update_pasid(), 9bfecd058339"


class Broadcasts(SvaProcess):
    """Every thread, when an open has returned; the one that submits just then is inside."""

    __slots__ = ()

    def file_bound(self, task: Task, out: Out) -> None:
        """update_pasid, in each thread that runs."""
        inside = [one.thread for one in self.tasks.values() if one is not task]
        for number, thread in self.threads.items():
            thread.activated = thread.activated or number in inside


CLASSES: Final[dict[str, type]] = {"sva_process": Broadcasts}
