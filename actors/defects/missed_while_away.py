"""KVM has lost its memory, and hears only what is notified from now on.

Nothing is replayed, it says, as at registration.  But what it was called with before stands open:
the chain waits for its reply, and so does whoever waits for the chain.
"""

from typing import Final

from actors.kvm import Kvm
from actors.kvm.state import Owed

SOURCE: Final = "domain reference of the IOASID era, 5.9: crash point (d); L1"


class HearsOnlyWhatComes(Kvm):
    """What the core had sent before its answer is gone."""

    __slots__ = ()

    def missed(self, _told: tuple[Owed, ...], since: list[Owed]) -> list[Owed]:
        """What came since it asked."""
        return since


CLASSES: Final[dict[str, type]] = {"kvm": HearsOnlyWhatComes}
