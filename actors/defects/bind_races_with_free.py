"""Bind and free of one process run side by side, as nobody takes the process's lock.

`pasid_lock` of v7 serialised all that a process does with its PASIDs.  v8 moved the allocation to
/dev/ioasid, whose own lock VFIO's bind does not take.  So a free can come between any two steps of
a bind; whether that does harm is up to core, driver and subscribers.

Kernel: drivers/vfio/vfio_iommu_type1.c of "vfio: expose virtual Shared Virtual Addressing to VMs"
v8, 2 Mar 2021, with "[PATCH V4 18/18] ioasid: Add /dev/ioasid for userspace".
"""

from typing import Final

from actors.vfio import Vfio
from actors.vfio.state import Bind, Free, Locked, Unbind

SOURCE: Final = "S10; VFIO v8, 2 Mar 2021, without vfio_mm::pasid_lock"


class BindsWithoutTheLock(Vfio):
    """Alloc, open and release still take turns; bind, unbind and free do not."""

    __slots__ = ()

    def needs_lock(self, task: Locked) -> bool:
        """Not for what the mails call nesting operations, nor for free."""
        return not isinstance(task, Bind | Unbind | Free) and super().needs_lock(task)


CLASSES: Final[dict[str, type]] = {"vfio": BindsWithoutTheLock}
