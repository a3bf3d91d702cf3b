"""What the driver of a modern kernel says to a unit beyond §5: kinds of entry and of flush.

An entry is of kind `first` (a process's page table), `second` (a paging domain's) or `nested`.
What is cached through the first two is flushed by one kind of invalidation each; of a nested entry
both flush translations, and only the domain-selective one what is cached of its second level.

Source: drivers/iommu/intel/pasid.c, cache.c of Linux 7.3; 8798d3641119, 04b1b069f151.
"""

from protocol.messages.common import Message
from protocol.names import Call, Incarnation, Name, Pasid

FIRST = "first"
SECOND = "second"
NESTED_LEVELS = "nested"


class SetUpEntry(Message, frozen=True, tag=True):
    """driver -> unit: set up an entry of that kind, P last; EBUSY if one is present.

    `vm` is whose tables they are, `did` the domain id.
    """

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    vm: Name
    did: int
    kind: str


class ZeroAllButFpd(Message, frozen=True, tag=True):
    """driver -> unit: zero the rest of an entry whose P is clear; later faults stay silent."""

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation


class InvalidatePiotlb(Message, frozen=True, tag=True):
    """driver -> unit: PASID-based IOTLB invalidation: what first levels of (did, PASID) yielded.

    Of any device behind the unit.  `page` 0: all of it.
    """

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    did: int
    page: int


class InvalidateDomainIotlb(Message, frozen=True, tag=True):
    """driver -> unit: domain-selective IOTLB invalidation: what second levels of the did yielded.

    Of any device and PASID behind the unit; those named are on whose behalf.
    """

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    did: int


PasidTableMessage = SetUpEntry | ZeroAllButFpd | InvalidatePiotlb | InvalidateDomainIotlb
"""All of them."""
