"""A subscriber that answers BAD ends the chain: those behind it are not told.

The sender cannot take a FREE back and does not look at the verdict.  What the others hold, they
hold for ever.

Kernel: notifier_call_chain stops at NOTIFY_STOP_MASK, which NOTIFY_BAD and notifier_from_errno
carry; the VDCM of the Intel data-centre kernel answers FREE like that when it has no memory.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from protocol.messages import Verdict

SOURCE: Final = "S41; drivers/vfio/mdev/idxd/mdev.c of the Intel data-centre kernel, 3d23391ae990"


class StopsAtBad(IoasidCore):
    """A notification that can be refused."""

    __slots__ = ()

    def stops_chain(self, verdict: Verdict) -> bool:
        """NOTIFY_BAD has the stop bit."""
        return verdict is Verdict.BAD


CLASSES: Final[dict[str, type]] = {"core": StopsAtBad}
