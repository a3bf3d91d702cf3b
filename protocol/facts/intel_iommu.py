"""What the VT-d driver of a modern kernel states, and its units beyond what they state in §5.

Source: drivers/iommu/intel/{iommu,pasid,cache,svm,prq}.c of Linux 7.3.
"""

from protocol.facts.event import Event
from protocol.names import Incarnation, Name, Pasid


class DevPasidSet(Event, frozen=True, tag="dev_pasid.set"):
    """driver: the PASID has `domain` on the device, in place of `old`, in books and hardware.

    `faults`: its page requests have a handler.  `present`: there is an entry, for its mm is there.
    """

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    domain: Name
    old: Name
    faults: bool
    present: bool


class DevPasidRefused(Event, frozen=True, tag="dev_pasid.refused"):
    """driver: it has not, and everything is as before."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    domain: Name
    errno: str


class DomainMade(Event, frozen=True, tag="domain.made"):
    """driver: there is a domain of that kind; of an mm, or on top of a parent, or neither."""

    domain: Name
    kind: str
    mm: Name
    parent: Name


class DomainGone(Event, frozen=True, tag="domain.gone"):
    """driver: there is none any more."""

    domain: Name


class CacheTagAssigned(Event, frozen=True, tag="cache_tag.assigned"):
    """driver: a flush of `domain` reaches this cache from now on; `users` attachments want it to.

    `kind`: iotlb (of `unit`), devtlb (of `device`), nesting-iotlb, nesting-devtlb.
    """

    domain: Name
    kind: str
    unit: Name
    device: Name
    pasid: Pasid
    users: int


class CacheTagUnassigned(Event, frozen=True, tag="cache_tag.unassigned"):
    """driver: one attachment less wants it; with the last it is reached no more."""

    domain: Name
    kind: str
    unit: Name
    device: Name
    pasid: Pasid
    users: int


class IopfReferenced(Event, frozen=True, tag="iopf.referenced"):
    """driver: so many domains on the device have a handler of page requests now."""

    device: Name
    count: int


class IopfDeviceAdded(Event, frozen=True, tag="iopf.device_added"):
    """driver: the device is on the queue of its fault core."""

    device: Name


class IopfDeviceLeaves(Event, frozen=True, tag="iopf.device_leaves"):
    """driver: the device is being taken off it, and what is pending is answered INVALID."""

    device: Name


class SecondaryTlbsFlushBegun(Event, frozen=True, tag="secondary_tlbs.flush_begun"):
    """driver: what is cached of the domain is to go; `task` is the flush."""

    domain: Name
    page: int
    task: str


class SecondaryTlbsFlushed(Event, frozen=True, tag="secondary_tlbs.flushed"):
    """driver: it has gone, and whoever asked is told."""

    domain: Name
    page: int
    task: str


class AddressSpaceReleased(Event, frozen=True, tag="address_space.released"):
    """driver: the hardware is off the domain's mm for good, and the mm is told."""

    domain: Name
    mm: Name


class EntrySilenced(Event, frozen=True, tag="entry.silenced"):
    """unit: nothing is left of an entry but FPD: faults of the PASID stay silent."""

    unit: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation


class EntryZeroed(Event, frozen=True, tag="entry.zeroed"):
    """unit: nothing is left of an entry, not even FPD."""

    unit: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation


class DeviceProbed(Event, frozen=True, tag="iommu.device_probed"):
    """driver: the device has been plugged, and its page requests are looked for."""

    device: Name


class DeviceReleased(Event, frozen=True, tag="iommu.device_released"):
    """driver: the device is being unplugged, and no page request of it is reported from here on."""

    device: Name


class ReportBegun(Event, frozen=True, tag="page.report_begun"):
    """driver: a page request of the device goes to the fault core, which `thread` waits for."""

    device: Name
    thread: str


class ReportEnded(Event, frozen=True, tag="page.report_ended"):
    """driver: the fault core has what `thread` had reported, and the device may go."""

    thread: str


IntelIommuFact = (
    DevPasidSet
    | DevPasidRefused
    | DomainMade
    | DomainGone
    | CacheTagAssigned
    | CacheTagUnassigned
    | IopfReferenced
    | IopfDeviceAdded
    | IopfDeviceLeaves
    | SecondaryTlbsFlushBegun
    | SecondaryTlbsFlushed
    | AddressSpaceReleased
    | EntrySilenced
    | EntryZeroed
    | DeviceProbed
    | DeviceReleased
    | ReportBegun
    | ReportEnded
)
"""All of them."""
