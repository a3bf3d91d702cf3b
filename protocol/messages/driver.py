"""What the VT-d driver and VFIO are asked (§4.1 to §4.4, §4.8).

`vm` is the mm on whose behalf; a guest's own requests carry no `vm`: it is whoever sent them.
"""

from enum import IntEnum

from protocol.messages.common import Message
from protocol.names import Call, Gpasid, Incarnation, Name, Pasid


class BindGpasid(Message, frozen=True, tag=True):
    """VFIO -> driver, intel_svm_bind_gpasid.  `table` is the guest's first-level table (gpgd)."""

    call: Call
    vm: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    gpasid: Gpasid
    table: int
    format: str = "vtd"


class UnbindGpasid(Message, frozen=True, tag=True):
    """VFIO -> driver, intel_svm_unbind_gpasid.  Not bound: Done (FREE may have cleaned first)."""

    call: Call
    vm: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    why: str = "unbind"


class AttachDomain(Message, frozen=True, tag=True):
    """VFIO -> driver: the VM's second level on this device (aux domain); EBUSY attached."""

    call: Call
    vm: Name
    device: Name


class DetachDomain(Message, frozen=True, tag=True):
    """VFIO -> driver: takes the VM's domain off the device.  Not attached: Done."""

    call: Call
    vm: Name
    device: Name


class ResponseCode(IntEnum):
    """VT-d page group response codes."""

    SUCCESS = 0x0
    INVALID = 0x1
    FAILURE = 0xF


class PageRequestReport(Message, frozen=True, tag=True):
    """driver -> VFIO -> guest: a device asks for a page of a bound PASID.

    Not answered as a call: the consumer answers once, later, with RespondPage (guest ->
    VFIO) and PageResponse (VFIO -> driver).
    """

    vm: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    gpasid: Gpasid
    group: int
    page: int


class RespondPage(Message, frozen=True, tag=True):
    """guest -> VFIO: answer to a report; VFIO's answer is the driver's (Done, EINVAL, ENODEV)."""

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int
    code: ResponseCode


class PageResponse(Message, frozen=True, tag=True):
    """VFIO -> driver, intel_svm_page_response: EINVAL no such request or PASID.

    ENODEV not bound here or not yours.
    """

    call: Call
    vm: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int
    code: ResponseCode


class FlushFaults(Message, frozen=True, tag=True):
    """driver -> VFIO: all reports sent before this one are taken in (iopf_queue_flush_dev)."""

    call: Call
    device: Name


class OpenContainer(Message, frozen=True, tag=True):
    """guest -> VFIO: open a container and put group number `group` of this VM into it.

    EBUSY open already.

    The first container of a VM makes its vfio_mm and IOASID set; EINVAL no such group.
    """

    call: Call
    group: int


class RequestPasid(Message, frozen=True, tag=True):
    """guest -> VFIO, VFIO_IOMMU_PASID_REQUEST alloc, range inclusive: -> RequestPasidGot.

    EOPNOTSUPP no vfio_mm, EINVAL bad range, ENOSPC quota or pool.
    """

    call: Call
    min: Pasid
    max: Pasid


class RequestPasidGot(Message, frozen=True, tag=True):
    """The host PASID and the ghost of its life."""

    call: Call
    pasid: Pasid
    incarnation: Incarnation


class FreePasidRange(Message, frozen=True, tag=True):
    """guest -> VFIO, VFIO_IOMMU_PASID_REQUEST free: every PASID of the process in [min, max].

    Always Done, but EOPNOTSUPP (no vfio_mm) and EINVAL (bad range).
    """

    call: Call
    min: Pasid
    max: Pasid


class BindPgtbl(Message, frozen=True, tag=True):
    """guest -> VFIO, VFIO_NESTING_OP_BIND_PGTBL on the container of `group`: every device of it.

    EOPNOTSUPP not open, then GetIfOwned's errno, then the driver's; on a refusal only what this
    call bound is undone (mends S8).
    """

    call: Call
    group: int
    pasid: Pasid
    incarnation: Incarnation
    gpasid: Gpasid
    table: int


class UnbindPgtbl(Message, frozen=True, tag=True):
    """guest -> VFIO, VFIO_NESTING_OP_UNBIND_PGTBL: EPERM another VM's; not bound or freed: Done."""

    call: Call
    group: int
    pasid: Pasid
    incarnation: Incarnation
