"""A device that detaches while another of its group stays is not taken from the list.

It is unbound, and its pointer is in the list of those that have the PASID.
"""

from typing import Final

from actors.iommufd import Iommufd
from actors.iommufd.state import Attach

SOURCE: Final = "iommufd_hw_pagetable_detach of Linux 7.3, its device_array"


class StaysListed(Iommufd):
    """Only the last one is taken out."""

    __slots__ = ()

    def leave(self, record: Attach, device: int) -> None:
        """Of several, none."""
        if record.devices == [device]:
            super().leave(record, device)


CLASSES: Final[dict[str, type]] = {"iommufd": StaysListed}
