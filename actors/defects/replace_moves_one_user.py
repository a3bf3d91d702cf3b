"""A replace for a group of two devices counts one user more on the new page table.

Detached by one of them, it looks unused while the other walks it.
"""

from typing import Final

from actors.iommufd import Iommufd
from actors.iommufd.state import Attach

SOURCE: Final = "iommufd_device_do_replace of Linux 7.3, num_devices"


class MovesOneUser(Iommufd):
    """The call's own."""

    __slots__ = ()

    def users_of(self, _record: Attach) -> int:
        """Whoever else has joined."""
        return 1


CLASSES: Final[dict[str, type]] = {"iommufd": MovesOneUser}
