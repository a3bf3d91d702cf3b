"""What the hardware states: it is the witness."""

from protocol.facts.event import Event
from protocol.names import Incarnation, Name, Pasid


class EntryWritten(Event, frozen=True, tag="entry.written"):
    """unit: PASID-table entry present; `was_present`: it already was (nothing may do that)."""

    unit: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    vm: Name
    table: int
    was_present: bool


class EntryCleared(Event, frozen=True, tag="entry.cleared"):
    """unit: P is clear; `incarnation`, `vm` are the entry's own, `by` the mm on whose behalf.

    `why` as asked.
    """

    unit: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    vm: Name
    by: Name
    why: str


class CacheFilled(Event, frozen=True, tag="cache.filled"):
    """unit or device: `cache` (pasid-cache, iotlb, device-tlb) has a line of this life.

    Once until it is flushed, however many lines follow.
    """

    cache: str
    device: Name
    pasid: Pasid
    incarnation: Incarnation


class CacheFlushed(Event, frozen=True, tag="cache.flushed"):
    """unit or device: `cache` has no line of (device, PASID) left.

    Recorded also if there was none.
    """

    cache: str
    device: Name
    pasid: Pasid
    incarnation: Incarnation


class WqProgrammed(Event, frozen=True, tag="wq.programmed"):
    """device: configuration `slot` (`wq`, `ims`) of `vm` holds the PASID."""

    vm: Name
    device: Name
    slot: str
    pasid: Pasid
    incarnation: Incarnation


class WqCleared(Event, frozen=True, tag="wq.cleared"):
    """device: it does not any more."""

    vm: Name
    device: Name
    slot: str
    pasid: Pasid
    incarnation: Incarnation


class DescriptorAccepted(Event, frozen=True, tag="descriptor.accepted"):
    """device: work tagged with the PASID is in the device.

    `descriptor` is unique while it is there.
    """

    device: Name
    vm: Name
    descriptor: str
    pasid: Pasid
    incarnation: Incarnation


class DescriptorEnded(Event, frozen=True, tag="descriptor.ended"):
    """device: it has left the device; `status` success, fault or abort."""

    device: Name
    vm: Name
    descriptor: str
    pasid: Pasid
    incarnation: Incarnation
    status: str


class DmaTranslated(Event, frozen=True, tag="dma.translated"):
    """device: an access went to memory, `through` device-tlb or iommu.

    `incarnation`, `vm` are the descriptor's; `table_incarnation`, `table_vm` those of the
    entry that translated it.  They differ only when isolation is broken (N1).
    """

    device: Name
    vm: Name
    pasid: Pasid
    incarnation: Incarnation
    page: int
    through: str
    table_vm: Name
    table_incarnation: Incarnation


class DmaBlocked(Event, frozen=True, tag="dma.blocked"):
    """device: an access was blocked: `outcome` ur or none."""

    device: Name
    vm: Name
    pasid: Pasid
    incarnation: Incarnation
    outcome: str


class PageRequested(Event, frozen=True, tag="page.requested"):
    """device: it posted a page request and waits for the group's answer."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int


class PageSettled(Event, frozen=True, tag="page.settled"):
    """device: the group was answered (or aborted and answered later); it waits no more.

    `code` -1: a reset cancelled it, and a late answer will be ignored.
    """

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int
    code: int


class RequestRinged(Event, frozen=True, tag="request.ringed"):
    """unit: the page request is in the ring."""

    unit: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int


class RequestTaken(Event, frozen=True, tag="request.taken"):
    """unit: head has moved past it."""

    unit: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int


class RequestAutoAnswered(Event, frozen=True, tag="request.auto_answered"):
    """unit: hardware answered it: `code` INVALID (no entry) or SUCCESS (ring full); -1: dropped."""

    unit: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    code: int


class DrainScanned(Event, frozen=True, tag="drain.scanned"):
    """driver: a drain looked at the ring and found `found` requests of its PASID."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    found: int


class FunctionReset(Event, frozen=True, tag="function.reset"):
    """device: the reset is over: nothing of before is in it, and it is out of service."""

    device: Name


class FunctionReturned(Event, frozen=True, tag="function.returned"):
    """device: it takes work again."""

    device: Name


class RequestsDrained(Event, frozen=True, tag="requests.drained"):
    """unit: a drain that `by` asked for is complete; `overflow`: the ring had no room meanwhile."""

    unit: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    by: Name
    overflow: bool
