"""What a device holds: work queues, descriptors, device TLB, page groups, commands that wait."""

from enum import Enum
from typing import TypeAlias

from msgspec import Struct

from protocol.messages import DisableWq, DrainPasid, DrainWq
from protocol.names import Incarnation, Name, Pasid

Command: TypeAlias = DisableWq | DrainWq | DrainPasid
"""What is answered when none of its descriptors is left in the device."""


class Service(Enum):
    """RESETTING: what has asked the unit for a translation is not through yet.  OUT: reset."""

    IN = "in"
    RESETTING = "resetting"
    OUT = "out"


class Line(Struct, frozen=True):
    """A device-TLB line: what the entry was that translated."""

    incarnation: Incarnation
    vm: Name
    table: int


class Slot(Struct, frozen=True):
    """A configuration register with a PASID."""

    pasid: Pasid
    incarnation: Incarnation


class WorkQueue(Struct):
    """An enabled WQ; a dedicated one submits with `slot`, a shared one with what ENQCMD carries."""

    slot: Slot | None
    closing: bool = False


class Work(Struct, frozen=True):
    """What a submission carries, and the PASID it runs with."""

    vm: Name
    tag: int
    pasid: Pasid
    incarnation: Incarnation
    page: int
    mapped: bool


class Descriptor(Struct):
    """Work in the device.  It waits for the page group `group`, or without one for its translation.

    `aborted`: it is to end as soon as the translation that is on its way has come back.
    """

    work: Work
    group: int | None = None
    aborted: bool = False


class Group(Struct, frozen=True):
    """A page group that is owed an answer; `number`: its descriptor, None once that is aborted."""

    pasid: Pasid
    incarnation: Incarnation
    number: int | None


class Waiting(Struct, frozen=True):
    """A command that is not yet answered, and who gave it."""

    requester: Name
    command: Command
