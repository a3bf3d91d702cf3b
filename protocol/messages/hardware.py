"""What the VT-d driver, the IOMMU unit and the device say to one another (§5).

Invalidations are what the kernel submits synchronously to the queued-invalidation queue; a unit
works them off in order.  Links between hardware are in order and lossless, as posted writes are.
"""

from enum import Enum

from msgspec import Struct

from protocol.messages.common import Message
from protocol.messages.driver import ResponseCode
from protocol.names import Call, Incarnation, Name, Pasid


class WriteEntry(Message, frozen=True, tag=True):
    """driver -> unit: set up a nested PASID-table entry, P last; EBUSY if one is present.

    `table` is the first level, `vm` stands for the second, `did` is the domain id of that.
    """

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    vm: Name
    table: int
    did: int


class ClearPresent(Message, frozen=True, tag=True):
    """driver -> unit: clear P only (mends S46), `fpd` sets fault processing disable.

    ENOENT not present.

    `vm` is the mm on whose behalf; `why` is `unbind`, `free`, `release` or `rollback`.
    """

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    vm: Name
    why: str
    fpd: bool = False


class ZeroEntry(Message, frozen=True, tag=True):
    """driver -> unit: zero the rest of an entry whose P is clear and whose caches are flushed."""

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation


class InvalidatePasidCache(Message, frozen=True, tag=True):
    """driver -> unit: PASID-selective PASID-cache invalidation with the old domain id."""

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    did: int


class InvalidateIotlb(Message, frozen=True, tag=True):
    """driver -> unit: IOTLB invalidation of what was translated through this entry."""

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    did: int


class InvalidateDevTlb(Message, frozen=True, tag=True):
    """driver or VDCM -> unit: device-TLB invalidation with PASID; Done when the device is through.

    ETIMEDOUT if the device is gone.
    """

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation


class DrainRequests(Message, frozen=True, tag=True):
    """driver or VDCM -> unit: fence wait, IOTLB, device-TLB, wait with page-request drain.

    -> DrainRequestsGot.
    """

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation


class DrainRequestsGot(Message, frozen=True, tag=True):
    """Everything before the drain has arrived; `overflow`: the ring overflowed meanwhile.

    Do it again.
    """

    call: Call
    overflow: bool


class PageRequest(Struct, frozen=True, array_like=True):
    """One descriptor in the page-request ring.  `last`: ends its group, so wants an answer."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int
    page: int
    last: bool = True


class PageRequestInterrupt(Message, frozen=True, tag=True):
    """unit -> driver: the ring is no longer empty (PPR was clear and is set).  Not answered."""


class ReadPrq(Message, frozen=True, tag=True):
    """driver -> unit: head to tail: -> ReadPrqGot.

    `thread`: prq_event_thread, clears PPR first.
    """

    call: Call
    thread: bool


class ReadPrqGot(Message, frozen=True, tag=True):
    """The requests in the ring, oldest first, and whether it has overflowed."""

    call: Call
    requests: tuple[PageRequest, ...]
    overflow: bool


class AdvancePrq(Message, frozen=True, tag=True):
    """driver -> unit: head moves by `count`; overflow is cleared if the ring is then empty."""

    call: Call
    count: int


class PageGroupResponse(Message, frozen=True, tag=True):
    """driver -> unit -> device: the answer to a page group.  Not answered.

    `mapped`: the guest's table has the page now (only a consumer's SUCCESS makes it so).
    """

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int
    code: ResponseCode
    mapped: bool


class RaisePageRequest(Message, frozen=True, tag=True):
    """device -> unit: a page request, posted.  Answered by a PageGroupResponse, if `last`."""

    pasid: Pasid
    incarnation: Incarnation
    group: int
    page: int
    last: bool = True


class Translation(Enum):
    """What a translation or an untranslated access comes back with.

    OK; NONE: no permission (the device may ask for the page); UR: unsupported request, blocked.
    """

    OK = "ok"
    NONE = "none"
    UR = "ur"


class Translate(Message, frozen=True, tag=True):
    """device -> unit: ATS translation request: -> Translated.

    `mapped`: is the page in the guest's table.
    """

    call: Call
    pasid: Pasid
    incarnation: Incarnation
    page: int
    mapped: bool


class Translated(Message, frozen=True, tag=True):
    """unit -> device.  With OK: the life, VM and first level of the entry that translated."""

    call: Call
    outcome: Translation
    incarnation: Incarnation
    vm: Name
    table: int


class UntranslatedDma(Message, frozen=True, tag=True):
    """device -> unit: an access of a device without ATS.

    -> Translated (UR where the page is absent).
    """

    call: Call
    pasid: Pasid
    incarnation: Incarnation
    page: int
    mapped: bool


class ResetFunction(Message, frozen=True, tag=True):
    """supervisor -> device: a function-level reset (FLR).

    What is in the device ends, and what it is owed it forgets.  Not answered.
    """


class DeviceReset(Message, frozen=True, tag=True):
    """device -> driver: the reset is over, and nothing of before is left in the device.

    It is out of service: it takes no work until ReturnToService.  Not answered.
    """


class ReturnToService(Message, frozen=True, tag=True):
    """driver -> device: what it had asked for is drained and discarded (O18).  Not answered."""


class FlushDevTlb(Message, frozen=True, tag=True):
    """unit -> device: invalidate the device TLB for a PASID (0: all): -> Done."""

    call: Call
    pasid: Pasid
    incarnation: Incarnation
