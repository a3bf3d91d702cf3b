"""One mutex for a queue's readers and for the handler that fills it.

A reader copies to his own memory with the mutex held, and if that is swapped out it takes as long
as it takes; the thread that brings page requests of a whole IOMMU waits for him meanwhile.

Until 2025.
"""

from typing import Final

from actors.iommufd import Iommufd, faults, objects
from actors.iommufd.fault_files import begin_copying
from actors.iommufd.state import Do, Task
from protocol.effects import Out
from protocol.facts.iommufd import FaultHeldUp
from protocol.messages.iommufd import DeliverFault
from protocol.names import IOPF, Name

SOURCE: Final = "3d49020a327c, iommufd: Use a separate spinlock for fault->deliver; modern bug 34"


class WaitsForTheReader(Iommufd):
    """A reader is a while at his memory; who brings something tries again and again."""

    __slots__ = ()

    def read(self, task: Task, out: Out) -> bool:
        """The first page is not there."""
        if not task.pt:
            task.pt = 1
            begin_copying(self, task, out)
            task.then(Do.PAUSE, Do.READ)
            return True
        return super().read(task, out)

    def take_in(self, fault: DeliverFault, _sender: Name, out: Out) -> None:
        """With the mutex."""
        at = faults.queue_for(self, fault.handle)
        if self.locks.get(f"queue:{at}"):
            lock = objects.memory(self, at)
            out.record(FaultHeldUp(lock, fault.device, fault.number))
            out.send(self.name, fault)
        else:
            super().take_in(fault, IOPF, out)


CLASSES: Final[dict[str, type]] = {"iommufd": WaitsForTheReader}
