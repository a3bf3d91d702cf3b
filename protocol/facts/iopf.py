"""What the fault core states: page requests, their groups, the work on them, its devices (§8).

`group` is the number that the device gave a group, `id` the fault core's own name of it.
"""

from protocol.facts.event import Event
from protocol.names import Incarnation, Name, Pasid


class FaultTaken(Event, frozen=True, tag="fault.taken"):
    """iopf: a driver has reported a page request; the `last` of a group wants an answer."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int
    last: bool


class FaultUnhandled(Event, frozen=True, tag="fault.unhandled"):
    """iopf: there is no handler for the last request of a group."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int


class FaultAnswered(Event, frozen=True, tag="fault.answered"):
    """iopf: the driver is given the answer to a group."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int
    code: int


class FaultGroupFormed(Event, frozen=True, tag="fault.group_formed"):
    """iopf: a group is complete, under its handle, and on its device's list; it uses `param`."""

    id: int
    param: int
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int
    handle: Name


class FaultGroupUnlisted(Event, frozen=True, tag="fault.group_unlisted"):
    """iopf: it is off the list of its device."""

    id: int


class FaultGroupFreed(Event, frozen=True, tag="fault.group_freed"):
    """iopf: its memory is gone."""

    id: int


class FaultParamUsed(Event, frozen=True, tag="fault.param_used"):
    """iopf: so many use a device's fault_param now; with none it is gone."""

    param: int
    users: int


class FaultWorkQueued(Event, frozen=True, tag="fault.work_queued"):
    """iopf: work on a group is on the work queue of the IOMMU `unit`."""

    work: int
    unit: Name
    device: Name


class FaultWorkEnded(Event, frozen=True, tag="fault.work_ended"):
    """iopf: it touches nothing any more."""

    work: int


class FaultFlushBegun(Event, frozen=True, tag="fault.flush_begun"):
    """iopf: `by` waits for all the work that is on the device's work queue."""

    by: str
    unit: Name


class FaultFlushEnded(Event, frozen=True, tag="fault.flush_ended"):
    """iopf: it waits no more."""

    by: str


class FaultDeviceAdded(Event, frozen=True, tag="fault.device_added"):
    """iopf: the device is on the queue of its IOMMU, with a new `param`."""

    device: Name
    param: int


class FaultDeviceRemoved(Event, frozen=True, tag="fault.device_removed"):
    """iopf: it is not any more; who still uses its `param` keeps it."""

    device: Name
    param: int


IopfFact = (
    FaultTaken
    | FaultUnhandled
    | FaultAnswered
    | FaultGroupFormed
    | FaultGroupUnlisted
    | FaultGroupFreed
    | FaultParamUsed
    | FaultWorkQueued
    | FaultWorkEnded
    | FaultFlushBegun
    | FaultFlushEnded
    | FaultDeviceAdded
    | FaultDeviceRemoved
)
"""All of them."""
