"""The PASID goes with the address space, not with the struct: files that are still open use it.

A process that dies gives up its address space first, and closes its files later: until then its
number is somebody else's, and its device work runs with it.
"""

from typing import Final

from actors.process import sva_mm
from actors.process.sva_process import SvaProcess
from actors.sva import Sva
from actors.sva.state import Asked, Drop
from protocol.effects import Out
from protocol.facts import MmFreed
from protocol.facts.sva import SvaPasidDropped
from protocol.messages.sva import MmPasidDrop
from protocol.names import Name

SOURCE: Final = "mm: Fix PASID use-after-free issue, 2667ed10d9f0, fixes 701fac40384f"


class DropsInMmput(SvaProcess):
    """Nothing is left to be given back when the struct goes."""

    __slots__ = ()

    def address_space_gone(self, name: Name, out: Out) -> None:
        """mm_pasid_drop at the end of __mmput."""
        sva_mm.give_back(self, name, out)

    def struct_gone(self, name: Name, out: Out) -> None:
        """The struct alone, if its PASID is back already."""
        if name not in self.drops.values():
            del self.mms[name]
            out.record(MmFreed(name))


class LooksAtNoCount(Sva):
    """The number is given back when somebody says so; what is bound with it stays."""

    __slots__ = ()

    def on_mm_pasid_drop(self, drop: MmPasidDrop, sender: Name, out: Out) -> None:
        """Whoever asks knows."""
        mm = self.mms.get(drop.mm)
        if mm is None or not mm.domains:
            super().on_mm_pasid_drop(drop, sender, out)
            return
        task = Drop(self.number_for(drop), Asked(sender, drop))
        self.tasks[task.number] = task
        out.record(SvaPasidDropped(drop.mm, mm.pasid, mm.incarnation))
        self.give_back(task, mm, out)


CLASSES: Final[dict[str, type]] = {"sva_process": DropsInMmput, "sva": LooksAtNoCount}
