"""A freed PASID goes back to the pool when everybody has been told, not when all have put.

Without reference counts the end of the chain is all that free can wait for.  What its subscribers
only queued is still to come when the number begins its next life.

Kernel: ioasid_free of drivers/iommu/ioasid.c, v1, 25 Mar 2020, and mainline before 5.11.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Chain, Transition, find_life
from protocol.effects import Out
from protocol.lifecycle import Move
from protocol.names import Pasid

SOURCE: Final = "S6; J. Pan on x86/mmu: Allocate/free PASID, 28 Apr 2020; v3 01/14 ioasid.rst"


class ReclaimsAfterTheChain(IoasidCore):
    """Nobody's reference is waited for."""

    __slots__ = ()

    def chain_done(self, pasid: Pasid, chain: Chain, out: Out) -> None:
        """After FREE the number is given back, whoever holds it."""
        super().chain_done(pasid, chain, out)
        if chain.notice.transition is not Transition.FREE or find_life(self, pasid) is None:
            return
        self.chains[pasid] = chain  # So that whoever waits behind it is answered.
        self.change_state(pasid, Move.LAST_PUT, out)
        self.reclaim(pasid, out)
        self.chains[pasid] = None


CLASSES: Final[dict[str, type]] = {"core": ReclaimsAfterTheChain}
