"""A VM frees a PASID that belongs to another VM.

Two checks have to be missing for that: VFIO frees the number that it is given instead of what its
tree has in the range, and the core does not compare the set of the caller with that of the PASID.

Kernel: vfio_pasid_free_range in drivers/vfio/vfio_pasid.c, v7 of the series; ioasid_free of
drivers/iommu/ioasid.c, "[PATCH V4 09/18]", which warns and changes nothing when the set differs.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Life
from actors.vfio import Vfio
from actors.vfio.state import Free, Locked
from protocol.effects import Out
from protocol.messages import FreePasid
from protocol.names import CORE

SOURCE: Final = "S33; [PATCH V4 09/18], 27 Feb 2021, ioasid_free; rule N10"


class FreesForAnyone(IoasidCore):
    """Whichever set is named, the PASID is freed."""

    __slots__ = ()

    def may_free(self, life: Life, number: int) -> bool:
        """A second free still changes nothing."""
        return super().may_free(life, life.set)


class FreesWhatItIsGiven(Vfio):
    """A number that is not in the process's tree goes to the core all the same."""

    __slots__ = ()

    def begin(self, task: Locked, out: Out) -> None:
        """Only where the range has none of the process's own."""
        if not isinstance(task, Free):
            super().begin(task, out)
            return
        process = self.processes[task.vm]
        if any(task.min <= pasid <= task.max for pasid in process.pasids):
            super().begin(task, out)
        else:
            out.send(CORE, FreePasid(task.number, process.set, task.min, 0))


CLASSES: Final[dict[str, type]] = {"core": FreesForAnyone, "vfio": FreesWhatItIsGiven}
