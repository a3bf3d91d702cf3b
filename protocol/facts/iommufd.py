"""What an iommufd context states: its objects, what is attached where, whose faults wait."""

from protocol.facts.event import Event
from protocol.names import Name, Pasid


class ObjectMade(Event, frozen=True, tag="iommufd.object_made"):
    """The id can be used from here on."""

    id: int
    kind: str


class ObjectRemoved(Event, frozen=True, tag="iommufd.object_removed"):
    """The id is free, and its object is being destroyed; `users` is what was left, 1."""

    id: int
    kind: str
    users: int


class PtAttached(Event, frozen=True, tag="iommufd.pt_attached"):
    """`device` has joined those that have `hwpt` for the PASID; `compatible`: made for PASIDs."""

    device: Name
    group: Name
    pasid: Pasid
    hwpt: int
    domain: Name
    compatible: bool


class PtReplaced(Event, frozen=True, tag="iommufd.pt_replaced"):
    """All devices of the group that had `old` for the PASID have `hwpt`."""

    group: Name
    pasid: Pasid
    hwpt: int
    old: int
    domain: Name
    compatible: bool


class PtDetached(Event, frozen=True, tag="iommufd.pt_detached"):
    """The device no longer has a page table for the PASID; `last`: nor has its group."""

    device: Name
    group: Name
    pasid: Pasid
    hwpt: int
    last: bool


class FaultQueued(Event, frozen=True, tag="iommufd.fault_queued"):
    """A group of page requests waits for the reader of the queue; `group`: see `facts.iopf`, id."""

    queue: int
    handle: Name
    device: Name
    pasid: Pasid
    number: int
    group: int = 0


class FaultSettled(Event, frozen=True, tag="iommufd.fault_settled"):
    """A group has got its one answer; `by` its user, or detach, replace."""

    queue: int
    handle: Name
    device: Name
    pasid: Pasid
    number: int
    by: str
    group: int = 0


class DeviceUnbound(Event, frozen=True, tag="iommufd.device_unbound"):
    """The device's object goes; `attached`: PASIDs (0: none of them) that it still has."""

    device: Name
    group: Name
    attached: tuple[Pasid, ...]


class HandleMade(Event, frozen=True, tag="iommufd.handle_made"):
    """A handle that the core will be given; page requests may come under it from now on."""

    handle: Name


class HandleFreed(Event, frozen=True, tag="iommufd.handle_freed"):
    """Its memory is gone: detach or replace is through, or attach has failed."""

    handle: Name


class UserMemoryTouched(Event, frozen=True, tag="iommufd.user_memory_touched"):
    """With `lock` held, `task` copies to or from its user: how long that takes is his affair."""

    lock: str
    task: str


class UserMemoryLeft(Event, frozen=True, tag="iommufd.user_memory_left"):
    """It lets the lock go."""

    lock: str
    task: str


class FaultHeldUp(Event, frozen=True, tag="iommufd.fault_held_up"):
    """A group of page requests waits for `lock` before it can be queued (nothing may do that)."""

    lock: str
    device: Name
    number: int


class ObjectUsed(Event, frozen=True, tag="iommufd.object_used"):
    """A device or page table has so many users now, those that just look at it not counted.

    `name`: the device, or the page table's domain; `why`: `attach`, `replace`, or `put`, the end of
    a detach.  `base` of them are no attachments; 0: it may have children, so nobody can say.
    """

    id: int
    kind: str
    name: Name
    users: int
    base: int
    why: str


class ObjectBusy(Event, frozen=True, tag="iommufd.object_busy"):
    """Its destruction is refused, because it has `users`."""

    id: int
    kind: str
    users: int


IommufdFact = (
    ObjectMade
    | ObjectRemoved
    | PtAttached
    | PtReplaced
    | PtDetached
    | FaultQueued
    | FaultSettled
    | DeviceUnbound
    | HandleMade
    | HandleFreed
    | UserMemoryTouched
    | UserMemoryLeft
    | FaultHeldUp
    | ObjectUsed
    | ObjectBusy
)
"""All of them."""
