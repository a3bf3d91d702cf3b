"""An open that fails late frees its context, and returns 0: the file has nothing in it.

What is done with it afterwards is done with memory that is somebody else's.
"""

from typing import Final

from actors.accelerators.idxd import Idxd
from protocol.effects import Out

SOURCE: Final = "dmaengine: idxd: error paths of idxd_cdev_open(), CVE-2026-74574"


class SaysItWentWell(Idxd):
    """The error is lost on the way out."""

    __slots__ = ()

    def open_failed(self, out: Out) -> None:
        """Undone, and opened."""
        self.opened(out)


CLASSES: Final[dict[str, type]] = {"idxd": SaysItWentWell}
