"""Free is a put like any other: there is no FREE_PENDING, and the holders are not told.

What was freed under its users can still be got, and stays for as long as they like; nothing prompts
them to let go.  The merged references dropped the state that Jacob Pan had asked for.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Life, life_of, owner_entry
from protocol.effects import Out
from protocol.facts import ReferenceDropped
from protocol.lifecycle import Move
from protocol.names import Pasid

SOURCE: Final = "iommu/ioasid: Add ioasid references, cb4789b0d19f, Nov 2020; J. Pan, 30 Apr 2020"


class FreesByPut(IoasidCore):
    """The number goes with the last reference, whoever's that is."""

    __slots__ = ()

    def may_free(self, life: Life, number: int) -> bool:
        """The owner has one reference to give back."""
        return life.owner != "" and super().may_free(life, number)

    def let_go(self, pasid: Pasid, out: Out) -> None:
        """Silently."""
        life = life_of(self, pasid)
        entry, life.owner = owner_entry(life.owner), ""
        out.record(ReferenceDropped(pasid, life.incarnation, entry, life.refs))
        self.go_if_last(pasid, out)

    def drop(self, pasid: Pasid, entry: str, out: Out) -> bool:
        """The state says only whether there are others beside the owner."""
        super().drop(pasid, entry, out)
        return self.go_if_last(pasid, out)

    def go_if_last(self, pasid: Pasid, out: Out) -> bool:
        """Whether that was it."""
        if life_of(self, pasid).refs:
            return False
        self.change_state(pasid, Move.FREE, out)
        self.reclaim(pasid, out)
        return True


CLASSES: Final[dict[str, type]] = {"core": FreesByPut}
