"""An open whose PASID cannot be set unbinds where it fails, and once more on the way out.

The bond is shared: the second unbind takes a user that another file of the process has.
"""

from typing import Final

from actors.accelerators.idxd import Idxd
from actors.accelerators.state import Part
from protocol.effects import Out
from protocol.errors import Errno

SOURCE: Final = "dmaengine: idxd: Fix passing freed memory in idxd_cdev_open(), 0642287e3ecd"


class UnbindsTwice(Idxd):
    """In place, and at the label."""

    __slots__ = ()

    def set_pasid_failed(self, errno: Errno, out: Out) -> None:
        """The label does not know of the first."""
        self.files[self.file].parts.append(Part.BOND)
        super().set_pasid_failed(errno, out)


CLASSES: Final[dict[str, type]] = {"idxd": UnbindsTwice}
