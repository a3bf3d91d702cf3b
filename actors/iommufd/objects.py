"""The table of objects: ids, look-ups, users.

Kernel: main.c, iommufd_object_alloc / finalize / abort / remove, iommufd_get_object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.iommufd.sites import LOOK, OBJECT
from actors.iommufd.state import AnyObject, Device, Do, Nested, Paging, Task
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import MemoryAllocated
from protocol.facts.iommufd import ObjectMade, ObjectRemoved, ObjectUsed
from protocol.messages.iommufd import Proceed

if TYPE_CHECKING:
    from actors.iommufd import Iommufd


PAGE_TABLE: Final = "page-table"
"""What a page table of an IOAS is called where memory is watched; each by its domain."""


def kind_of(found: AnyObject) -> str:
    """As one says it."""
    return found.__class__.__name__.lower()


def memory(fd: Iommufd, at: int) -> str:
    """What an object is called where memory is watched."""
    return f"{fd.name}:{at}"


def reserve(fd: Iommufd, task: Task, made: AnyObject, out: Out) -> int:
    """The lowest free id for an object that nobody finds yet; 0: no memory."""
    if out.may_fail(OBJECT):
        task.errno = Errno.ENOMEM
        return 0
    at = 1
    while at in fd.objects:
        at += 1
    fd.objects[at] = made
    return at


def count(fd: Iommufd, at: int, why: str, out: Out) -> None:
    """How many use a device or a page table now; a page table may be a parent, too."""
    found = fd.objects[at]
    assert isinstance(found, Device | Paging | Nested), "nothing else is attached"
    name, base = (found.device, 2) if isinstance(found, Device) else (found.domain, 1)
    if isinstance(found, Paging) and "NEST_PARENT" in found.flags:
        base = 0
    out.record(ObjectUsed(at, kind_of(found), name, found.users - found.looks, base, why))


def publish(fd: Iommufd, at: int, out: Out) -> None:
    """From now on it is found."""
    fd.objects[at].ready = True
    out.record(ObjectMade(at, kind_of(fd.objects[at])))


def publish_table(fd: Iommufd, at: int, out: Out) -> None:
    """A page table; one of an IOAS is in its list from here on."""
    found = fd.objects[at]
    if isinstance(found, Paging):
        out.record(MemoryAllocated(PAGE_TABLE, found.domain))
    publish(fd, at, out)


def look(
    fd: Iommufd, task: Task, at: int, kind: type[AnyObject] | None, out: Out
) -> AnyObject | None:
    """Look an object up and hold it; ENOENT also for one of another kind, or not ready."""
    missed = out.may_fail(LOOK)
    found = fd.objects.get(at)
    if missed or found is None or not found.ready:
        return None
    if kind is not None and not isinstance(found, kind):
        return None
    found.users += 1
    found.looks += 1
    task.looks.append(at)
    return found


def put(fd: Iommufd, task: Task, at: int, out: Out) -> None:
    """No longer look at it; who waits for that unbinds."""
    task.looks.remove(at)
    found = fd.objects[at]
    found.users -= 1
    found.looks -= 1
    if isinstance(found, Device) and found.unbinder and not found.looks:
        waiting = fd.tasks[found.unbinder]
        found.unbinder = 0
        fd.go_on(waiting, out)


def remove(fd: Iommufd, at: int, out: Out) -> AnyObject | None:
    """Take it out of the table if nobody else uses it: the id is free at once."""
    found = fd.objects[at]
    if not fd.may_remove(found):
        return None
    out.record(ObjectRemoved(at, kind_of(found), found.users))
    return fd.objects.pop(at)


def may_remove(_fd: Iommufd, found: AnyObject) -> bool:
    """Whether only the table uses it (I34)."""
    return found.users == 1


def pause(fd: Iommufd, task: Task, out: Out) -> bool:
    """Others may come in here."""
    out.send(fd.name, Proceed(task.number))
    return False


STEPS = {Do.PAUSE: pause}
