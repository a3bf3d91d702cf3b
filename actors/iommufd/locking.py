"""The locks that decide who waits for whom, each a list: who has it is first.

Kernel: ioas->mutex, igroup->lock, fault->mutex, and the rwsem of a mock device (8c07df7cdfcf),
which those who bring page requests share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.iommufd.state import Do, Task
from protocol.effects import Out
from protocol.facts import LockReleased, LockTaken, LockWaited
from protocol.messages.iommufd import TriggerFault

if TYPE_CHECKING:
    from actors.iommufd import Iommufd

KINDS: Final = {"mock": "mock", "ioas": "ioas", "group": "igroup", "queue": "fault"}
"""What they are called in what a context states: the core has locks of groups, too."""
SHARERS: Final = "sharers"
"""Who has a lock that is shared: stated once, by the first who takes it and the last to let go."""


def stated(fd: Iommufd, name: str) -> str:
    """Two contexts have different ones."""
    kind, _, rest = name.partition(":")
    return f"{KINDS[kind]}:{fd.name}.{rest}"


def shares(task: Task) -> bool:
    """Whether others like it may hold its lock beside it."""
    return isinstance(task.request, TriggerFault)


def holders(fd: Iommufd, name: str) -> list[Task]:
    """Those at the head of a lock's list: one alone, or all that share it."""
    waiting = [fd.tasks[one] for one in fd.locks[name]]
    alone = next((at for at, one in enumerate(waiting) if not shares(one)), len(waiting))
    return waiting[: max(alone, 1)]


def lock(fd: Iommufd, task: Task, name: str, again: Do, out: Out) -> bool:
    """Take a lock, or wait for it: the step `again` comes next."""
    if name in task.locks:
        return True
    fd.locks.setdefault(name, []).append(task.number)
    if task not in holders(fd, name):
        out.record(LockWaited(stated(fd, name), "mutex", str(task.number)))
        task.todo.append(again)
        return False
    has(fd, task, name, out)
    return True


def has(fd: Iommufd, task: Task, name: str, out: Out) -> None:
    """The lock is the task's."""
    task.locks.append(name)
    if not shares(task):
        out.record(LockTaken(stated(fd, name), "mutex", str(task.number)))
    elif not any(name in one.locks for one in holders(fd, name) if one is not task):
        out.record(LockTaken(stated(fd, name), "mutex", SHARERS))


def unlock(fd: Iommufd, task: Task, kind: str, out: Out) -> None:
    """Let go of the lock of this kind, if it is held; who waits goes on."""
    for name in [one for one in task.locks if one.startswith(kind)]:
        task.locks.remove(name)
        fd.locks[name].remove(task.number)
        after = holders(fd, name) if fd.locks[name] else []
        if any(name in one.locks for one in after):
            continue  # Somebody shares it still.
        by = SHARERS if shares(task) else str(task.number)
        out.record(LockReleased(stated(fd, name), "mutex", by))
        if not after:
            del fd.locks[name]
        for one in after:
            has(fd, one, name, out)
        for one in after:
            fd.go_on(one, out)
