"""A PASID is attached, its user cannot be told, and what is undone is DMA without PASID.

The device's own page table is gone, although the call did not name it; the PASID stays attached,
although the user has been told that it is not.
"""

from typing import Final

from actors.vfio_cdev import VfioCdev
from actors.vfio_cdev.state import Task
from protocol.domains import NO_PASID

SOURCE: Final = "derived: vfio_df_ioctl_attach_pt at 1260ed777985, its label out_detach"


class DetachesTheRid(VfioCdev):
    """The way out knows of one thing that can be attached."""

    __slots__ = ()

    def undo(self, task: Task) -> None:
        """Whatever was attached."""
        task.by_pasid, task.pasid = False, NO_PASID
        super().undo(task)


CLASSES: Final[dict[str, type]] = {"vfio_cdev": DetachesTheRid}
