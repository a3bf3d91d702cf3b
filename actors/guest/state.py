"""What a guest knows: its PASIDs by name, its queues, and what it waits for.

A guest knows only what it was told; the host may have cleaned up behind its back.  §1.8, §7.
"""

from enum import Enum
from typing import Final, TypeAlias, assert_never

from msgspec import Struct

from protocol.messages import Done, GuestEnqcmdGot, Refused, RequestPasidGot, VmExit
from protocol.names import Call, Gpasid, Incarnation, Name, Pasid
from protocol.plan import Step

OK: Final = "ok"
INFO: Final = "info"
NOT_BUSY: Final[Call] = 0
SUBMITS: Final = ("dma", "fault", "portal")
"""The operations that put descriptors into a device."""
SETTLE: Final = "settle"
"""Not an operation: a step that waits for descriptors of a PASID (any, if unnamed) on a device."""

Answer: TypeAlias = Done | Refused | RequestPasidGot | GuestEnqcmdGot | VmExit


class Phase(Enum):
    """A guest boots, then works through its plan, then sits still; after `exit` it is no more."""

    OFF = "off"
    BOOT = "boot"
    RUN = "run"
    EXITED = "exited"


class Value(Struct, frozen=True, gc=False):
    """What a name stands for: the host PASID, the ghost of its life, the guest's own number."""

    pasid: Pasid = 0
    incarnation: Incarnation = 0
    gpasid: Gpasid = 0


class Variable(Struct):
    """A PASID of this guest; `live` until it is freed, and a stale value afterwards.

    `bound` lists the groups it is bound to, `faulted` counts the absent pages it has touched.
    """

    value: Value
    live: bool = True
    bound: list[int] = []
    faulted: int = 0


class Living(Struct):
    """Of the variables that live, by PASID their names; and what numbers of the guest they have.

    `last` is the highest, `gaps` are those below it, in order, that none of them has.
    """

    names: dict[Pasid, list[str]] = {}
    last: Gpasid = 0
    gaps: list[Gpasid] = []


class Flight(Struct):
    """A descriptor on its way or in the device; `withheld`: the guest keeps its page from it."""

    tag: int
    page: int
    withheld: bool = False


class Waits(Enum):
    """What an operation waits for."""

    ANSWER = "answer"
    ENABLE_VWQ = "EnableVwq"
    GUEST_ENQCMD = "GuestEnqcmd"
    RETRY = "retry"
    DESCRIPTORS = "descriptors"


class Operation(Struct, tag=True):
    """Operation number `op`, asked of `target`; `outcome` is the first thing that went wrong.

    Of a submission: `left` descriptors are still to be accepted, the one that is being submitted
    has `tag` and was retried `tries` times; `flying` are those whose completion is awaited.
    """

    number: Call
    op: int
    step: Step
    value: Value
    target: Name = ""
    waits: Waits = Waits.ANSWER
    left: int = 0
    tag: int = 0
    tries: int = 0
    flying: list[Flight] = []
    outcome: str = OK


class Opening(Struct, tag=True):
    """An open of the boot, asked of `target`."""

    target: Name


class Responding(Struct, tag=True):
    """The answer to a page request, handed to `target`."""

    target: Name


Task: TypeAlias = Operation | Opening | Responding


def awaited_from(task: Task) -> Name:
    """Who owes it an answer; "" if nobody does at the moment."""
    match task:
        case Operation(waits=Waits.RETRY | Waits.DESCRIPTORS):
            return ""
        case Operation(target=target) | Opening(target=target) | Responding(target=target):
            return target
        case _:
            assert_never(task)
