"""What an address space, the IOMMU driver and the fault core of a modern kernel say (§8).

An mm is known by the process that it is of, a domain by its name.

Source: drivers/iommu/{io-pgfault,iommu-sva}.c, drivers/iommu/intel/{svm,prq}.c, mm/mmu_notifier.c
of Linux 7.3.
"""

from protocol.messages.common import Message
from protocol.messages.driver import ResponseCode
from protocol.names import Call, Incarnation, Name, Pasid


class RegisterMmuNotifier(Message, frozen=True, tag=True):
    """driver -> process, mmu_notifier_register: the domain is told of what the mm does.

    Takes a reference on the mm's struct (mm_count).  ENOMEM.
    """

    call: Call
    mm: Name
    domain: Name


class PutMmuNotifier(Message, frozen=True, tag=True):
    """driver -> process, mmu_notifier_put: Done when the grace period is over.

    Then the reference is dropped, and no callback of the domain runs any more.
    """

    call: Call
    mm: Name
    domain: Name


class ReleaseMm(Message, frozen=True, tag=True):
    """process -> driver, mm_release: the address space goes; the hardware is off it when Done."""

    call: Call
    domain: Name


class InvalidateSecondaryTlbs(Message, frozen=True, tag=True):
    """process or sva -> driver, arch_invalidate_secondary_tlbs: Done when nothing has it cached.

    `page` 0: the whole address space.
    """

    call: Call
    domain: Name
    page: int


class InvalidateKva(Message, frozen=True, tag=True):
    """mm code -> sva, iommu_sva_invalidate_kva_range: before page tables of the kernel are freed.

    Done when every domain of every mm has been invalidated.
    """

    call: Call


class ReportPageRequest(Message, frozen=True, tag=True):
    """driver -> iopf, iommu_report_device_fault: a page request out of the ring.

    Partial ones (`last` false) wait for the last of their group.  EINVAL nobody handles it, and it
    has been answered INVALID; ENOMEM, of a partial one.
    """

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int
    page: int
    last: bool


class RespondPageRequest(Message, frozen=True, tag=True):
    """iopf -> driver, page_response: the one answer to a group.  Not answered.

    `mapped`: the page is there now.
    """

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int
    code: ResponseCode
    mapped: bool


class AddIopfDevice(Message, frozen=True, tag=True):
    """driver -> iopf, iopf_queue_add_device: EBUSY it is there already, ENOMEM."""

    call: Call
    device: Name


class RemoveIopfDevice(Message, frozen=True, tag=True):
    """driver -> iopf, iopf_queue_remove_device: what is pending is answered INVALID; Done."""

    call: Call
    device: Name


class FlushIopfDevice(Message, frozen=True, tag=True):
    """driver -> iopf, iopf_queue_flush_dev: Done when the work that was queued has run.

    ENODEV it is on no queue.
    """

    call: Call
    device: Name


class DiscardPartialFaults(Message, frozen=True, tag=True):
    """driver -> iopf, iopf_queue_discard_partial: the ring has overflowed, so last ones are lost.

    Of all devices behind the unit; EINVAL there is no such queue.
    """

    call: Call
    unit: Name


class HandleMmFault(Message, frozen=True, tag=True):
    """iopf -> process, iommu_sva_handle_mm: Done the page is there.

    EFAULT the mm has no user any more (mmget_not_zero), or has nothing there.
    """

    call: Call
    mm: Name
    page: int


AddressSpaceMessage = (
    RegisterMmuNotifier
    | PutMmuNotifier
    | ReleaseMm
    | InvalidateSecondaryTlbs
    | InvalidateKva
    | ReportPageRequest
    | RespondPageRequest
    | AddIopfDevice
    | RemoveIopfDevice
    | FlushIopfDevice
    | HandleMmFault
    | DiscardPartialFaults
)
"""All of them."""
