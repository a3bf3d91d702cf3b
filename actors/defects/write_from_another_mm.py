"""The mm of who writes a descriptor is not looked at: a child runs work in its parent's memory.

A file that is inherited, or passed on, stays bound to the mm of who opened it.
"""

from typing import Final

from actors.accelerators.idxd import Idxd
from actors.accelerators.state import File
from protocol.errors import Errno
from protocol.names import Name

SOURCE: Final = "dmaengine: idxd: Fix allowing write() from different address spaces, 8dfa57aabff6"


class AnyMm(Idxd):
    """Whoever has the file may use it."""

    __slots__ = ()

    def use_refusal(self, file: File, mm: Name) -> Errno | None:
        """Nobody is refused."""
        return None


CLASSES: Final[dict[str, type]] = {"idxd": AnyMm}
