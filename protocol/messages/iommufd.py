"""iommufd: page tables as objects of one context, attached to devices and their PASIDs (§8).

A user's requests name objects by their id in the context; drivers (VFIO, the mock driver of the
kernel's selftests) hand in what the user named.  Id 0 is nothing.  What goes on to the IOMMU core
is in `iommu_core`; what goes to the IOMMU driver and to the fault core is here.

Source: drivers/iommu/iommufd of Linux 7.3, include/uapi/linux/iommufd.h.
"""

from typing import Final

from protocol.messages.common import Message
from protocol.names import Call, Incarnation, Name, Pasid

ObjectId = int

FIVE_LEVELS: Final = "5LEVEL"
SUPERVISOR_REQUESTS: Final = "SRE"
ACCESSED: Final = "EAFE"
BAD_WIDTH: Final = "BAD_WIDTH"
OTHER_TYPE: Final = "OTHER_TYPE"
SHORT: Final = "SHORT"
NO_LENGTH: Final = "NO_LENGTH"
DATA: Final = {
    FIVE_LEVELS: "addr_width: five levels",
    SUPERVISOR_REQUESTS: "IOMMU_VTD_S1_SRE",
    ACCESSED: "IOMMU_VTD_S1_EAFE",
    BAD_WIDTH: "addr_width: neither four levels nor five",
    OTHER_TYPE: "not the driver's: data_type is another one's",
    SHORT: "data_len is less than the driver wants",
    NO_LENGTH: "data_len is 0 with a data_type, or not 0 without one",
}
"""What can be said of a guest's page table (struct iommu_hwpt_vtd_s1), and be wrong with it."""


class AllocIoas(Message, frozen=True, tag=True):
    """IOMMU_IOAS_ALLOC: -> ObjectGot."""

    call: Call


class AllocFaultQueue(Message, frozen=True, tag=True):
    """IOMMU_FAULT_QUEUE_ALLOC: -> ObjectGot; the file that comes with it holds the object.

    ENOMEM no file, EFAULT the user does not get its answer: nothing is left then.
    """

    call: Call


class AllocHwpt(Message, frozen=True, tag=True):
    """IOMMU_HWPT_ALLOC: a page table of the IOAS, or a nested one on the page table, `pt`.

    `flags` of FLAGS, anything else is unknown; `nested`: with data of a guest's page table, and
    what of it is remarkable, of DATA.  `reserved`: must be 0.
    -> ObjectGot.
    """

    call: Call
    device: ObjectId
    pt: ObjectId
    flags: tuple[str, ...] = ()
    fault: ObjectId = 0
    nested: bool = False
    data: tuple[str, ...] = ()
    reserved: int = 0


class ObjectGot(Message, frozen=True, tag=True):
    """The object's id."""

    call: Call
    id: ObjectId


class DestroyObject(Message, frozen=True, tag=True):
    """IOMMU_DESTROY: ENOENT, EBUSY whoever still uses or just looks at it."""

    call: Call
    id: ObjectId


class BindDevice(Message, frozen=True, tag=True):
    """driver -> iommufd, iommufd_device_bind: the device becomes an object, -> ObjectGot.

    Refused as its claim of the DMA ownership is.
    """

    call: Call
    device: Name
    group: Name


class UnbindDevice(Message, frozen=True, tag=True):
    """driver -> iommufd, iommufd_device_unbind: always Done."""

    call: Call
    device: ObjectId


class AttachPt(Message, frozen=True, tag=True):
    """driver -> iommufd, iommufd_device_attach: `pt` for the PASID, or for DMA without one (0).

    `device` is an object of BindDevice; with `mock` the user's id of a mock device.
    -> PtGot, with the page table of an IOAS.
    """

    call: Call
    device: ObjectId
    pasid: Pasid
    pt: ObjectId
    mock: bool = False


class ReplacePt(Message, frozen=True, tag=True):
    """driver -> iommufd, iommufd_device_replace: as AttachPt, in place of another page table."""

    call: Call
    device: ObjectId
    pasid: Pasid
    pt: ObjectId
    mock: bool = False


class DetachPt(Message, frozen=True, tag=True):
    """driver -> iommufd, iommufd_device_detach: Done, also when nothing is attached."""

    call: Call
    device: ObjectId
    pasid: Pasid
    mock: bool = False


class PtGot(Message, frozen=True, tag=True):
    """The page table that is attached now."""

    call: Call
    pt: ObjectId


class MakeMockDevice(Message, frozen=True, tag=True):
    """IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS: a device is made, bound, and `pt` attached to it.

    -> MockDeviceGot.
    """

    call: Call
    device: Name
    group: Name
    pt: ObjectId


class MockDeviceGot(Message, frozen=True, tag=True):
    """The mock device, its device object, and the page table attached to it."""

    call: Call
    mock: ObjectId
    device: ObjectId
    pt: ObjectId


class CheckHwpt(Message, frozen=True, tag=True):
    """IOMMU_TEST_OP_PASID_CHECK_HWPT: is that page table (0: none) the PASID's?  EINVAL no."""

    call: Call
    mock: ObjectId
    pasid: Pasid
    hwpt: ObjectId


class TriggerFault(Message, frozen=True, tag=True):
    """IOMMU_TEST_OP_TRIGGER_IOPF: the device asks for a page; always Done if there is one."""

    call: Call
    device: ObjectId
    pasid: Pasid
    number: int


class ReadFaults(Message, frozen=True, tag=True):
    """read() of a fault queue: whole groups, of which `room` has room for so many requests.

    -> FaultsGot.  ESPIPE an offset, or `rest` bytes more than whole requests; EINVAL the first
    group is larger than the buffer; ENOMEM no cookie; EFAULT no copy: it is the first again.
    """

    call: Call
    fault: ObjectId
    room: int
    rest: int = 0
    offset: int = 0


class FaultsGot(Message, frozen=True, tag=True):
    """The cookies of the groups; each wants one answer."""

    call: Call
    cookies: tuple[int, ...]


class AnswerFault(Message, frozen=True, tag=True):
    """write() to a fault queue: EINVAL nobody waits for the cookie (any more), or a bad code.

    ESPIPE an offset, or `rest` bytes more than whole answers, EFAULT it cannot be copied.  With
    `also`, further cookies that are answered so, -> FaultsGot, as far as it came.
    """

    call: Call
    fault: ObjectId
    cookie: int
    code: int
    rest: int = 0
    offset: int = 0
    also: tuple[int, ...] = ()


class CloseFaultQueue(Message, frozen=True, tag=True):
    """The file of a fault queue is released: its object may go."""

    call: Call
    fault: ObjectId


# --- To the IOMMU driver and the fault core -------------------------------------------------------


class AllocDomain(Message, frozen=True, tag=True):
    """iommufd -> driver, domain_alloc_paging_flags: -> DomainGot.

    `faults`: the context puts its fault handler into the domain (iopf_handler).
    """

    call: Call
    device: Name
    flags: tuple[str, ...]
    faults: bool = False


class AllocNestedDomain(Message, frozen=True, tag=True):
    """iommufd -> driver, domain_alloc_nested: -> DomainGot; `faults` as in AllocDomain.

    `data` as in AllocHwpt.
    """

    call: Call
    device: Name
    parent: Name
    flags: tuple[str, ...]
    faults: bool = False
    data: tuple[str, ...] = ()


class DomainGot(Message, frozen=True, tag=True):
    """The new domain."""

    call: Call
    domain: Name


class FreeDomain(Message, frozen=True, tag=True):
    """iommufd -> driver: the domain goes; always Done."""

    call: Call
    domain: Name


class ReportFault(Message, frozen=True, tag=True):
    """mock driver -> iopf, iommu_report_device_fault: EINVAL nobody takes it, and it is answered.

    The mock device waits for no answer.
    """

    call: Call
    device: Name
    pasid: Pasid
    number: int


class DeliverFault(Message, frozen=True, tag=True):
    """iopf -> iommufd, iommufd_fault_iopf_handler: a group of page requests, under a handle.

    `group` is the fault core's own name of it, `count` its requests.  EINVAL nobody has the handle.
    """

    call: Call
    handle: Name
    device: Name
    pasid: Pasid
    number: int
    incarnation: Incarnation = 0
    group: int = 0
    count: int = 1


class RespondFault(Message, frozen=True, tag=True):
    """iommufd -> iopf, iopf_group_response and iopf_free_group: a group's answer; always Done."""

    call: Call
    device: Name
    pasid: Pasid
    number: int
    code: int
    incarnation: Incarnation = 0
    group: int = 0


class Proceed(Message, frozen=True, tag=True):
    """iommufd -> itself: a task that may be overtaken here goes on.  Not answered."""

    call: Call


IommufdMessage = (
    AllocIoas
    | AllocFaultQueue
    | AllocHwpt
    | ObjectGot
    | DestroyObject
    | BindDevice
    | UnbindDevice
    | AttachPt
    | ReplacePt
    | DetachPt
    | PtGot
    | MakeMockDevice
    | MockDeviceGot
    | CheckHwpt
    | TriggerFault
    | ReadFaults
    | FaultsGot
    | AnswerFault
    | CloseFaultQueue
    | AllocDomain
    | AllocNestedDomain
    | DomainGot
    | FreeDomain
    | ReportFault
    | DeliverFault
    | RespondFault
    | Proceed
)
"""All of them."""
