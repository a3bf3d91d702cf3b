"""The locks that decide who waits for whom, each a list: who has it is first.

Kernel: ioas->mutex, igroup->lock, fault->mutex, and the rwsem of a mock device (8c07df7cdfcf).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.iommufd.state import Do, Task
from protocol.effects import Out
from protocol.facts import LockReleased, LockTaken, LockWaited

if TYPE_CHECKING:
    from actors.iommufd import Iommufd

KINDS: Final = {"mock": "mock", "ioas": "ioas", "group": "igroup", "queue": "fault"}
"""What they are called in what a context states: the core has locks of groups, too."""


def stated(fd: Iommufd, name: str) -> str:
    """Two contexts have different ones."""
    kind, _, rest = name.partition(":")
    return f"{KINDS[kind]}:{fd.name}.{rest}"


def lock(fd: Iommufd, task: Task, name: str, again: Do, out: Out) -> bool:
    """Take a lock, or wait for it: the step `again` comes next."""
    if name in task.locks:
        return True
    waiting = fd.locks.setdefault(name, [])
    waiting.append(task.number)
    if waiting[0] != task.number:
        out.record(LockWaited(stated(fd, name), "mutex", str(task.number)))
        task.todo.append(again)
        return False
    has(fd, task, name, out)
    return True


def has(fd: Iommufd, task: Task, name: str, out: Out) -> None:
    """The lock is the task's."""
    task.locks.append(name)
    out.record(LockTaken(stated(fd, name), "mutex", str(task.number)))


def unlock(fd: Iommufd, task: Task, kind: str, out: Out) -> None:
    """Let go of the lock of this kind, if it is held; who waits goes on."""
    for name in [one for one in task.locks if one.startswith(kind)]:
        task.locks.remove(name)
        out.record(LockReleased(stated(fd, name), "mutex", str(task.number)))
        waiting = fd.locks[name]
        waiting.pop(0)
        if not waiting:
            del fd.locks[name]
            continue
        after = fd.tasks[waiting[0]]
        has(fd, after, name, out)
        fd.go_on(after, out)
