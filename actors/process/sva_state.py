"""What a process of a modern kernel has: mms, threads with IA32_PASID, descriptors, operations.

Kernel: struct mm_struct, struct task_struct, struct mmu_notifier of Linux 7.3.
"""

from typing import Final

from msgspec import Struct, field

from actors.process.state import OK, Msr, Waits
from protocol.names import Call, Name
from protocol.plan import Step

FIRST_THREAD: Final = 1


class Mm(Struct):
    """`users` is mm_users, all of which hold one of `count`, mm_count; others hold the struct.

    `notifiers` are the domains that are told, newest first; `calling`: whose callback runs, by the
    number of the walk.  `unmapped` pages have nothing there any more.
    """

    users: int = 1
    count: int = 1
    notifiers: list[Name] = field(default_factory=list)
    calling: dict[Call, Name] = field(default_factory=dict)
    unmapped: list[int] = field(default_factory=list)


class Grace(Struct):
    """A notifier that was put; `over`: nobody can still see it but a callback that runs."""

    mm: Name
    domain: Name
    sender: Name
    call: Call
    over: bool = False


class Thread(Struct):
    """IA32_PASID, and whether the #GP fixup has been there (pasid_activated)."""

    msr: Msr | None = None
    activated: bool = False


class Fd(Struct):
    """A descriptor of an accelerator, and whether its portal is mapped."""

    device: Name
    door: Name
    file: int
    mapped: bool = False


class TakeDown(Struct):
    """An address space on its way out: of an exec (`task`) or, 0, of the exit.

    `walk` are the domains that are still to be told, `called` the one that has been.
    """

    mm: Name
    task: Call
    walk: list[Name]
    called: bool = False
    mappings: bool = False


class Task(Struct):
    """Operation number `op` of a thread; `left` calls or descriptors are still to be made.

    `stage` counts the calls of an operation that has several; `walk` are domains still to be told.
    The rest is as in `state.Operation`.
    """

    number: Call
    op: int
    step: Step
    thread: int = FIRST_THREAD
    waits: Waits = Waits.CALL
    stage: int = 0
    left: int = 0
    tag: int = 0
    msr: Msr | None = None
    flying: list[int] = field(default_factory=list)
    walk: list[Name] = field(default_factory=list)
    outcome: str = OK
    forgotten: bool = False
