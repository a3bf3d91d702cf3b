"""What the fault core remembers: devices, groups of page requests, who is at work on them."""

from enum import Enum
from typing import Final

from msgspec import Struct

from protocol.effects import Site
from protocol.errors import Errno
from protocol.names import Call, Incarnation, Name, Pasid

NOMEM_PARAM: Final = Site("iopf.add_device.param", Errno.ENOMEM)
NOMEM_PARTIAL: Final = Site("iopf.report.partial", Errno.ENOMEM)
NOMEM_GROUP: Final = Site("iopf.report.group", Errno.ENOMEM)

GROUP: Final = "iopf_group"
"""What kind of memory a group is."""
TIMER: Final = "work:"
"""Before the number of a work: it is to run."""


class Request(Struct, frozen=True):
    """A page that a device asks for; `mock`: the device does not wait for an answer."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int
    page: int
    last: bool
    mock: bool = False


class Param(Struct):
    """iommu_fault_param: `users` are the queue that the device is on, and each group.

    `partial` wait for the last of their group, `faults` are the groups on the device's list.
    """

    device: Name
    users: int = 1
    partial: list[Request] = []
    faults: list[int] = []


class Group(Struct):
    """Requests of one number, the last of them last, under the handle that was in place then."""

    requests: list[Request]
    param: int
    handle: Name
    domain: Name

    @property
    def last(self) -> Request:
        """The one that wants an answer."""
        return self.requests[-1]


class Step(Enum):
    """What a report waits for."""

    LOOK_UP = "the core, for the handle of the PASID"
    LOOK_UP_RID = "the core, for the handle of DMA without PASID"
    DELIVER = "the context that the handle is of"


class Report(Struct, tag=True):
    """A driver's report under way; `group` once there is one."""

    number: Call
    sender: Name
    call: Call
    request: Request
    step: Step = Step.LOOK_UP
    group: int = 0


class Work(Struct, tag=True):
    """Work on a group of an SVA domain; `done` of its requests have been handled."""

    number: Call
    group: int
    unit: Name
    done: int = 0


class Settling(Struct, tag=True):
    """Somebody waits until a device has its answer."""

    number: Call
    sender: Name
    call: Call


class Flush(Struct, frozen=True):
    """Somebody waits until those works have ended that were there when he came."""

    sender: Name
    call: Call
    works: list[Call]

    @property
    def title(self) -> str:
        """Whose it is."""
        return f"{self.sender}:{self.call}"
