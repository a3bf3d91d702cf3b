"""The last unbind gives the number back, as up to 5.17, and the mm goes on as if it had it still.

The next mm gets the same one; when the first binds again there are two behind it.
"""

from typing import Final

from actors.sva import Sva
from actors.sva.state import Asked, Drop, Unbind
from protocol.effects import Out
from protocol.facts.sva import BondFreed, SvaUnbound
from protocol.messages.sva import MmPasidDrop

SOURCE: Final = "iommu_sva_free_pasid, up to 701fac40384f (February 2022), which ended the counting"


class FreesAtUnbind(Sva):
    """A count for the number, and nobody who clears it in the mm."""

    __slots__ = ()

    def end_unbind(self, unbind: Unbind, out: Out) -> None:
        """The mm has no domain left: so nobody needs its number, and the answer waits for that."""
        handle = unbind.request.handle
        name = self.bonds[handle].mm
        if self.mms[name].domains:
            super().end_unbind(unbind, out)
            return
        self.end(unbind, out)
        del self.bonds[handle]
        out.record(BondFreed(handle))
        out.record(SvaUnbound(handle))
        asked = Asked(unbind.sender, MmPasidDrop(unbind.request.call, name))
        drop = Drop(self.number_for(asked.request), asked)
        self.tasks[drop.number] = drop
        self.give_back(drop, self.mms[name], out)


CLASSES: Final[dict[str, type]] = {"sva": FreesAtUnbind}
