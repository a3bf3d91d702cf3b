"""KVM has lost its memory, and puts twice a reference for which it finds no entry.

Once for the BIND that was under way, which it hears of again, and once for the ledger.  The second
takes what is not its own: in the core as posted another holder's reference.
"""

from typing import Final

from actors.kvm import Kvm, settling
from protocol.effects import Out
from protocol.messages import NotifyBind
from protocol.messages.amnesia import RecallLedgerGot

SOURCE: Final = "domain reference of the IOASID era, 5.9: put exactly once; N6"


class PutsForTheBindToo(Kvm):
    """What a BIND had got is put by both who look for it."""

    __slots__ = ()

    def settle(self, told: RecallLedgerGot, out: Out) -> None:
        """The ledger's turn, then that of the notifications."""
        settling.settle(self, told, out)
        binds = [one.pasid for one in told.owed if isinstance(one, NotifyBind)]
        for one in told.references:
            if one.pasid in binds:
                settling.put(self, one, out)


CLASSES: Final[dict[str, type]] = {"kvm": PutsForTheBindToo}
