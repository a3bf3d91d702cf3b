"""iommufd as it was in Linux 6.12: only DMA without PASID, no lock of the mock devices.

drivers/iommu/iommufd/device.c: iommufd_device_bind claims the DMA ownership before it makes an
object, and gives it back if there is no memory for one (recorded, run iommufd_fail_nth of 6.12).
"""

from actors.iommufd import Iommufd, objects
from actors.iommufd.sites import BIND
from actors.iommufd.state import Device, Do, Task
from protocol.effects import Out
from protocol.messages.iommu_core import ClaimDmaOwner, ReleaseDmaOwner
from protocol.messages.iommufd import BindDevice, MakeMockDevice
from protocol.names import IOMMU_CORE


class Linux612Iommufd(Iommufd):
    """The claim first."""

    __slots__ = ()

    def bind(self, task: Task, out: Out) -> bool:
        """Nothing is made yet."""
        asked = task.request
        assert isinstance(asked, BindDevice | MakeMockDevice), "only these bind"
        if (errno := out.may_fail(BIND)) is not None:
            task.fail(errno)
            self.objects.pop(task.mock, None)
            return True
        task.then(Do.BOUND)
        out.send(IOMMU_CORE, ClaimDmaOwner(task.number, asked.device, self.name))
        return False

    def bound(self, task: Task, out: Out) -> bool:
        """The object, with the claim in hand."""
        asked = task.request
        assert isinstance(asked, BindDevice | MakeMockDevice), "only these bind"
        if task.errno is not None:
            self.objects.pop(task.mock, None)
            task.fail(task.errno)
            return True
        made = Device(device=asked.device, group=asked.group)
        task.device = objects.reserve(self, task, made, out)
        if not task.device:
            task.refused = task.errno
            task.then(Do.UNBOUND)
            out.send(IOMMU_CORE, ReleaseDmaOwner(task.number, asked.device))
            return False
        return super().bound(task, out)

    def lock_mock(self, _task: Task, _out: Out) -> bool:
        """8c07df7cdfcf came later."""
        return True
