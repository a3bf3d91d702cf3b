"""iommufd: page tables as objects of one context, attached to devices and their PASIDs (§8).

A user's requests name objects by their id in the context; drivers (VFIO, the mock driver of the
kernel's selftests) hand in what the user named.  Id 0 is nothing.  What goes on to the IOMMU core
is in `iommu_core`; what goes to the IOMMU driver and to the fault core is here.

Source: drivers/iommu/iommufd of Linux 7.3, include/uapi/linux/iommufd.h.
"""

from protocol.messages.common import Message
from protocol.names import Call, Incarnation, Name, Pasid

ObjectId = int


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

    `flags` of FLAGS, anything else is unknown; `nested`: with data of a guest's page table.
    -> ObjectGot.
    """

    call: Call
    device: ObjectId
    pt: ObjectId
    flags: tuple[str, ...] = ()
    fault: ObjectId = 0
    nested: bool = False


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

    Refused as its claim of the DMA ownership is.  `shared`: the device stays its driver's, and
    nothing is claimed (iommufd_device_bind_pasid, "[RFC 3/7]", 9 Oct 2023; never merged).
    """

    call: Call
    device: Name
    group: Name
    shared: bool = False


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
    incarnation: Incarnation = 0


class ReplacePt(Message, frozen=True, tag=True):
    """driver -> iommufd, iommufd_device_replace: as AttachPt, in place of another page table."""

    call: Call
    device: ObjectId
    pasid: Pasid
    pt: ObjectId
    mock: bool = False
    incarnation: Incarnation = 0


class DetachPt(Message, frozen=True, tag=True):
    """driver -> iommufd, iommufd_device_detach: Done, also when nothing is attached."""

    call: Call
    device: ObjectId
    pasid: Pasid
    mock: bool = False
    incarnation: Incarnation = 0


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

    -> FaultsGot.  ESPIPE `rest` bytes more than whole requests, EINVAL the first group is larger
    than the buffer, ENOMEM no cookie, EFAULT it cannot be copied: that group is the first again.
    """

    call: Call
    fault: ObjectId
    room: int
    rest: int = 0


class FaultsGot(Message, frozen=True, tag=True):
    """The cookies of the groups; each wants one answer."""

    call: Call
    cookies: tuple[int, ...]


class AnswerFault(Message, frozen=True, tag=True):
    """write() to a fault queue: EINVAL nobody waits for the cookie (any more), or a bad code.

    ESPIPE `rest` bytes more than whole answers, EFAULT it cannot be copied.
    """

    call: Call
    fault: ObjectId
    cookie: int
    code: int
    rest: int = 0


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
    """iommufd -> driver, domain_alloc_nested: -> DomainGot; `faults` as in AllocDomain."""

    call: Call
    device: Name
    parent: Name
    flags: tuple[str, ...]
    faults: bool = False


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

    `group` is the fault core's own name of it, `count` its requests, `page` the last one's.  EINVAL
    nobody has the handle.
    """

    call: Call
    handle: Name
    device: Name
    pasid: Pasid
    number: int
    incarnation: Incarnation = 0
    group: int = 0
    count: int = 1
    page: int = 0


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
