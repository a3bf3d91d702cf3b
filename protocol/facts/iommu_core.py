"""What the IOMMU core states: slots of PASIDs, calls of the driver, owners, resets (§8)."""

from protocol.facts.event import Event
from protocol.names import Incarnation, Name, Pasid


class SlotReserved(Event, frozen=True, tag="slot.reserved"):
    """iommu core: nobody else can attach the PASID in the group; no handle can be seen."""

    group: Name
    pasid: Pasid
    incarnation: Incarnation


class SlotAttached(Event, frozen=True, tag="slot.attached"):
    """iommu core: `domain` is in place, routed to `handle`; `old` was there before (replace)."""

    group: Name
    pasid: Pasid
    incarnation: Incarnation
    domain: Name
    handle: Name
    old: Name


class SlotReleased(Event, frozen=True, tag="slot.released"):
    """iommu core: the slot is empty; `why` is `detach`, `failed`, or `group`: that has gone."""

    group: Name
    pasid: Pasid
    incarnation: Incarnation
    why: str


class DevPasidCalled(Event, frozen=True, tag="dev_pasid.called"):
    """iommu core: the driver is told to put `domain` in place of `old` on the device."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    domain: Name
    old: Name


class DevPasidAnswered(Event, frozen=True, tag="dev_pasid.answered"):
    """iommu core: the driver has answered; `errno` empty: it did."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    domain: Name
    errno: str


class DevPasidRolledBack(Event, frozen=True, tag="dev_pasid.rolled_back"):
    """iommu core: a device that had `domain` already is set back, because another refused."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    domain: Name


class GlobalPasidAllocated(Event, frozen=True, tag="global_pasid.allocated"):
    """iommu core: the number is out."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation


class GlobalPasidFreed(Event, frozen=True, tag="global_pasid.freed"):
    """iommu core: it is not any more; `incarnation` is the life that ends."""

    pasid: Pasid
    incarnation: Incarnation


class GroupDomainSet(Event, frozen=True, tag="group.domain_set"):
    """iommu core: DMA without PASID of the group goes to `domain`."""

    group: Name
    domain: Name


class DmaOwnerChanged(Event, frozen=True, tag="group.owner_changed"):
    """iommu core: who has claimed the group, and how often; nobody: empty, 0."""

    group: Name
    owner: Name
    claims: int


class DeviceBlocked(Event, frozen=True, tag="group.device_blocked"):
    """iommu core: a reset begins, and the device has the blocking domain everywhere."""

    device: Name


class DeviceUnblocked(Event, frozen=True, tag="group.device_unblocked"):
    """iommu core: the reset has ended, and what the group has is on the device again."""

    device: Name


class GroupJoined(Event, frozen=True, tag="group.joined"):
    """iommu core: the device is in the group."""

    device: Name
    group: Name


class GroupLeft(Event, frozen=True, tag="group.left"):
    """iommu core: it is not any more."""

    device: Name
    group: Name


class HandleSeen(Event, frozen=True, tag="slot.handle_seen"):
    """iommu core: a look-up has found this handle, so faults of the PASID go to it."""

    group: Name
    pasid: Pasid
    handle: Name


class SlotKept(Event, frozen=True, tag="slot.kept"):
    """iommu core: a replace has failed; `domain` and `handle` are what the slot has still."""

    group: Name
    pasid: Pasid
    incarnation: Incarnation
    domain: Name
    handle: Name


class DetachAsked(Event, frozen=True, tag="slot.detach_asked"):
    """iommu core: a detach has the lock, and cannot fail: what is there may go from here on."""

    group: Name
    pasid: Pasid
    domain: Name


class ResetAsked(Event, frozen=True, tag="group.reset_asked"):
    """iommu core: one reset more of the device has begun, or has ended (`done`)."""

    device: Name
    done: bool


IommuCoreFact = (
    SlotReserved
    | SlotAttached
    | SlotReleased
    | DevPasidCalled
    | DevPasidAnswered
    | DevPasidRolledBack
    | GlobalPasidAllocated
    | GlobalPasidFreed
    | GroupDomainSet
    | DmaOwnerChanged
    | DeviceBlocked
    | DeviceUnblocked
    | GroupJoined
    | GroupLeft
    | HandleSeen
    | SlotKept
    | DetachAsked
    | ResetAsked
)
"""All of them."""
