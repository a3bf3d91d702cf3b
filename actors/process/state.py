"""What a process of the host has: its operations, its mm, and its way out (§4.10).

Kernel: struct task_struct and struct mm_struct.
"""

from enum import Enum
from typing import Final

from msgspec import Struct

from protocol.names import Call, Incarnation, Name, Pasid
from protocol.plan import Step

OK: Final = "ok"
INFO: Final = "info"
NOT_BUSY: Final[Call] = 0
EXIT: Final[Call] = 1
"""The calls of do_exit, one at a time."""
NOBODY: Final[Call] = 2
"""Calls whose answer nobody waits for."""
FIRST: Final[Call] = 3
"""The smallest number of an operation."""


class Phase(Enum):
    """UNBORN until another forks it.  DYING: its system calls return first; then do_exit."""

    UNBORN = "unborn"
    RUN = "run"
    DYING = "dying"
    EXIT_MM = "exit_mm"
    UNMAP = "unmap"
    DEAD = "dead"


class Mm(Struct):
    """`users` is mm_users, all of which hold one of `count`, mm_count; others pin the struct.

    `pasid` is out of IOASID set `set`.  `notifier`: the driver is on the list; `releasing`: its
    callback runs, and whoever unregisters waits (`leaving`).
    """

    users: int = 1
    count: int = 1
    set: int = 0
    pasid: Pasid = 0
    incarnation: Incarnation = 0
    notifier: bool = False
    releasing: bool = False
    leaving: tuple[Name, Call] | None = None


class Msr(Struct, frozen=True):
    """A valid IA32_PASID."""

    pasid: Pasid
    incarnation: Incarnation


class Waits(Enum):
    """What an operation waits for: a system call or ENQCMD to return, or completion records."""

    CALL = "call"
    ENQCMD = "ENQCMD"
    DESCRIPTORS = "descriptors"


class Operation(Struct):
    """Operation number `op`; `left` calls or descriptors are still to be made.

    `flying` are the tags of descriptors whose completion is awaited, `tag` the one that is being
    submitted with `msr`.  `outcome` is the first thing that went wrong.  `forgotten`: the process
    dies, and the call only has to return.
    """

    number: Call
    op: int
    step: Step
    waits: Waits = Waits.CALL
    left: int = 0
    tag: int = 0
    msr: Msr | None = None
    flying: list[int] = []
    outcome: str = OK
    forgotten: bool = False
