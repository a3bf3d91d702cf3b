"""A second free of a PASID that is FREE_PENDING drops one more reference: somebody else's.

The owner has one.  A guest frees, its files are closed, and the set's PASIDs are freed once more;
without a look at the state the count falls below what is held.

Kernel: ioasid_free of drivers/iommu/ioasid.c, "[PATCH V4 09/18]", without its test for
FREE_PENDING.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import find_life, owner_entry
from protocol.effects import Out
from protocol.facts import ReferenceDropped
from protocol.lifecycle import Move, State
from protocol.names import Name, Pasid

SOURCE: Final = "S39; v3 01/14 ioasid.rst; V4 09/18 ioasid_free"


class CountsEachFree(IoasidCore):
    """The count knows no names: whoever's is in the ledger first pays for it."""

    __slots__ = ()

    def free(self, pasid: Pasid, number: int, by: Name, out: Out) -> None:
        """One less, each time."""
        life = find_life(self, pasid)
        again = life is not None and life.set == number and life.state is State.FREE_PENDING
        super().free(pasid, number, by, out)
        if life is None or not again:
            return
        first = min(life.ledger)
        life.ledger[first] -= 1
        if life.ledger[first] == 0:
            del life.ledger[first]
        out.record(ReferenceDropped(pasid, life.incarnation, owner_entry(by), life.refs))
        if not life.ledger:
            self.change_state(pasid, Move.LAST_PUT, out)
            self.reclaim(pasid, out)


CLASSES: Final[dict[str, type]] = {"core": CountsEachFree}
