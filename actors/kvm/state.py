"""What KVM holds for a VM: table entries, and the tasks that wait for an answer (§4.5)."""

from enum import Enum
from typing import TypeAlias

from msgspec import Struct

from protocol.messages import (
    Done,
    GuestEnqcmd,
    NotifyAlloc,
    NotifyBind,
    NotifyFree,
    NotifyUnbind,
    PutPasidGot,
    Refused,
)
from protocol.messages.amnesia import RecallLedgerGot
from protocol.names import Call, Gpasid, Incarnation, Name, Pasid


class Phase(Enum):
    """CLOSED: no vCPU yet.  GONE: QEMU's files are closed, and that is final.

    STOPPING: they are being closed, and commands of the vCPUs are still on their way to a device.
    """

    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"
    STOPPING = "stopping"
    CLOSING = "closing"
    GONE = "gone"


class Entry(Struct, frozen=True):
    """A VALID entry of the PASID table; it holds one reference."""

    pasid: Pasid
    incarnation: Incarnation


class Waiting(Struct, frozen=True):
    """A command of a vCPU that is kept out of the guest."""

    guest: Name
    command: GuestEnqcmd


class Open(Struct, frozen=True, tag=True):
    """OpenVm, until the core has registered the notifier."""

    guest: Name
    call: Call


class Bind(Struct, frozen=True, tag=True):
    """BIND, until the core has granted or refused the reference."""

    notification: NotifyBind


class ClearStep(Enum):
    """What clearing an entry waits for: the commands in flight, then the answer to the put."""

    COMMANDS = "commands"
    PUT = "put"


class Clear(Struct, tag=True):
    """UNBIND or FREE of the entry `spid`; it keeps the vCPUs out from its beginning to its end."""

    notification: NotifyUnbind | NotifyFree
    spid: Gpasid
    step: ClearStep = ClearStep.COMMANDS


class Command(Struct, frozen=True, tag=True):
    """An ENQCMD between the table and the device."""

    guest: Name
    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation


class ReleaseStep(Enum):
    """What closing waits for: off the chain, all other tasks at their end, the answer to a put."""

    UNREGISTER = "unregister"
    OTHERS = "others"
    PUT = "put"


class Release(Struct, tag=True):
    """ReleaseFds: off the chain first, then entry after entry."""

    step: ReleaseStep = ReleaseStep.UNREGISTER


class Put(Struct, frozen=True, tag=True):
    """A reference that goes back because no entry rests on it."""


Owed: TypeAlias = NotifyAlloc | NotifyBind | NotifyUnbind | NotifyFree
"""A notification that the core waits to be answered."""


class Rebuild(Struct):
    """What the peers have said so far.

    `told` is the core's answer, `owed` what it notified after that; `asked`: the guest has been,
    and `awaited` is what it waits for.  `alone`: it is lost.  `exited`: QEMU has ended.
    """

    alone: bool
    exited: bool = False
    asked: bool = False
    told: RecallLedgerGot | None = None
    awaited: tuple[Call, ...] | None = None
    owed: list[Owed] = []


Task: TypeAlias = Open | Bind | Clear | Command | Release | Put
"""What is under way; each asks for one thing at a time, and the answer finds it by its number."""

Answer: TypeAlias = Done | Refused | PutPasidGot
"""What the core answers."""
