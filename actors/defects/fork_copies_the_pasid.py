"""fork copies the mm's PASID with the rest of the struct.

The child looks bound, two mms have one number, and the first of them to go frees it for both.
"""

from typing import Final

from actors.sva import Sva
from actors.sva.state import Mm
from protocol.effects import Out
from protocol.facts.accelerators import MmPasidBegun
from protocol.messages.accelerators import InitMmPasid

SOURCE: Final = "mm/fork: clear PASID for new mm, 82e69a121be4"


class CopiesAll(Sva):
    """Nothing begins anew."""

    __slots__ = ()

    def begin_mm(self, init: InitMmPasid, out: Out) -> None:
        """As memcpy left it."""
        parent = self.mms.get(init.of)
        if parent is None or not parent.pasid:
            super().begin_mm(init, out)
            return
        self.mms[init.mm] = Mm(parent.pasid, parent.incarnation)
        out.record(MmPasidBegun(init.mm, init.of, parent.pasid, parent.incarnation))


CLASSES: Final[dict[str, type]] = {"sva": CopiesAll}
