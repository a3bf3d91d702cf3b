"""KVM has lost its memory, and gives back whatever the core counts for it, to begin afresh.

That would be right if nothing were left in hardware.  It does not look: the entries stay VALID, and
their PASIDs go to others.
"""

from typing import Final

from actors.kvm import Kvm, settling
from protocol.effects import Out
from protocol.messages.amnesia import RecallLedgerGot

SOURCE: Final = "domain reference of the IOASID era, 5.9: finish clearing, then put; N7, R6"


class PutsWhatTheCoreCounts(Kvm):
    """Every reference, with or without an entry."""

    __slots__ = ()

    def settle(self, told: RecallLedgerGot, out: Out) -> None:
        """No look at the table."""
        for one in told.references:
            settling.put(self, one, out)


CLASSES: Final[dict[str, type]] = {"kvm": PutsWhatTheCoreCounts}
