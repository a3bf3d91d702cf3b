"""What the VMM of a guest asks of a modern kernel beyond the rest: vIOMMUs, and page requests (§8).

Source: drivers/iommu/iommufd/{viommu,device,eventq}.c, include/uapi/linux/iommufd.h of Linux 7.3.
"""

from msgspec import Struct

from protocol.messages.common import Message
from protocol.names import Call, Incarnation, Name, Pasid


class AllocViommu(Message, frozen=True, tag=True):
    """IOMMU_VIOMMU_ALLOC: the IOMMU that a guest sees, on top of the page table `hwpt`.

    -> ObjectGot.  ENOENT no such device or page table, EINVAL the page table is no NEST_PARENT.
    """

    call: Call
    device: int
    hwpt: int


class AllocVdevice(Message, frozen=True, tag=True):
    """IOMMU_VDEVICE_ALLOC: a device as a guest knows it, by the id `virt`, behind its vIOMMU.

    -> ObjectGot.  ENOENT no such vIOMMU or device, EINVAL the device is behind another IOMMU,
    EEXIST the device has a vDevice, or the vIOMMU one of that id.
    """

    call: Call
    viommu: int
    device: int
    virt: int


class PageFault(Struct, frozen=True, array_like=True, gc=False):
    """What is read of a page request: its cookie, and the last request of its group."""

    cookie: int
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int
    page: int


class WaitForFaults(Message, frozen=True, tag=True):
    """poll() and read() of a fault queue: -> FaultsTaken when there is something to be read.

    `room` as in ReadFaults, whose errnos it has, too.  ENOENT also when the file is released.
    """

    call: Call
    fault: int
    room: int


class FaultsTaken(Message, frozen=True, tag=True):
    """The groups that were read; each wants one answer."""

    call: Call
    faults: tuple[PageFault, ...]


class SettleAnswers(Message, frozen=True, tag=True):
    """iopf -> driver: Done when the device has what was answered to it before this.

    7.3 has no such call: it answers what is pending behind the drain of a detach, and goes on.
    """

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation


GuestMessage = AllocViommu | AllocVdevice | WaitForFaults | FaultsTaken | SettleAnswers
"""All of them."""
