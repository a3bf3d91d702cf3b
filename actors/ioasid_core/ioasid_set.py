"""IOASID sets and the capacity that they share (§3.1).

A set's quota is set aside for it; its PASIDs are what keeps it alive after `FreeSet`.

Kernel: ioasid_install_capacity, ioasid_set_alloc and ioasid_set_free of drivers/iommu/ioasid.c,
"[PATCH V4 00/18]"; that a set waits for its last PASID is the Intel data-centre kernel's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.ioasid_core.state import ALLOC_SET_NOMEM, IoasidSet, set_object
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import CapacityChanged, MemoryAllocated, MemoryFreed, SetAllocated, SetFreed
from protocol.messages import (
    AllocSet,
    AllocSetGot,
    CancelCapacity,
    Done,
    FreeSet,
    InstallCapacity,
    Refused,
    ReserveCapacity,
    ReserveCapacityGot,
    SetKind,
)
from protocol.names import NO_SET, Name

if TYPE_CHECKING:
    from actors.ioasid_core import IoasidCore


def on_install_capacity(core: IoasidCore, install: InstallCapacity, sender: Name, out: Out) -> None:
    """It counts once, and only while nothing has been taken out of what was there (N9)."""
    if not core.installed and core.available == core.capacity:
        core.installed = True
        core.capacity = core.available = install.count
        record_capacity(core, out)
    out.send(sender, Done(install.call))


def on_reserve_capacity(core: IoasidCore, reserve: ReserveCapacity, sender: Name, out: Out) -> None:
    """What is available is set aside, all of it for 0."""
    if not 0 <= reserve.count <= core.available:
        out.send(sender, Refused(reserve.call, Errno.ENOSPC))
        return

    count = reserve.count or core.available
    core.available -= count
    core.reserved += count
    record_capacity(core, out)
    out.send(sender, ReserveCapacityGot(reserve.call, count))


def on_cancel_capacity(core: IoasidCore, cancel: CancelCapacity, sender: Name, out: Out) -> None:
    """No more comes back than was set aside: the rest of the capacity belongs to sets."""
    if not 0 <= cancel.count <= core.reserved:
        out.send(sender, Refused(cancel.call, Errno.EINVAL))
        return

    core.available += cancel.count
    core.reserved -= cancel.count
    record_capacity(core, out)
    out.send(sender, Done(cancel.call))


def on_alloc_set(core: IoasidCore, alloc: AllocSet, sender: Name, out: Out) -> None:
    """The quota leaves what is available; blocks that waited for this mm become active (§3.7)."""
    errno = alloc_set_refusal(core, alloc) or out.may_fail(ALLOC_SET_NOMEM)
    if errno is not None:
        out.send(sender, Refused(alloc.call, errno))
        return

    number = next(n for n in range(1, len(core.sets) + 2) if n not in core.sets)
    quota = alloc.quota or core.available
    core.available -= quota
    ioasids = IoasidSet(alloc.kind, alloc.token, quota)
    core.sets = dict(sorted([*core.sets.items(), (number, ioasids)]))
    out.record(MemoryAllocated("set", set_object(number)))
    after = (core.capacity, core.available, core.reserved)
    out.record(SetAllocated(number, alloc.token, quota, *after))
    if alloc.token:
        core.move_blocks(alloc.token, number)
    out.send(sender, AllocSetGot(alloc.call, number))


def alloc_set_refusal(core: IoasidCore, alloc: AllocSet) -> Errno | None:
    """A token names an mm, and one mm has one set."""
    if not 0 <= alloc.quota <= core.available:
        return Errno.ENOSPC
    if (alloc.kind is SetKind.MM) != (alloc.token != ""):
        return Errno.EINVAL
    if alloc.token and set_of(core, alloc.token) != NO_SET:
        return Errno.EEXIST
    return None


def on_free_set(core: IoasidCore, free: FreeSet, sender: Name, out: Out) -> None:
    """EBUSY means: later, with its last PASID."""
    ioasids = core.sets.get(free.set)
    if ioasids is None:
        out.send(sender, Refused(free.call, Errno.EINVAL))
        return

    ioasids.freeing = True
    if not core.set_goes(ioasids):
        out.send(sender, Refused(free.call, Errno.EBUSY))
        return

    core.drop_set(free.set, out)
    out.send(sender, Done(free.call))


def set_goes(_core: IoasidCore, ioasids: IoasidSet) -> bool:
    """Being empty is not enough, somebody must have asked for it."""
    return ioasids.freeing and ioasids.count == 0


def drop_set(core: IoasidCore, number: int, out: Out) -> None:
    """The quota comes back, and the blocks of its mm wait for another set."""
    ioasids = core.sets.pop(number)
    core.available += ioasids.quota
    if ioasids.token:
        core.move_blocks(ioasids.token, NO_SET)
    after = (core.capacity, core.available, core.reserved)
    out.record(SetFreed(number, ioasids.token, ioasids.quota, *after))
    out.record(MemoryFreed("set", set_object(number)))


def set_of(core: IoasidCore, token: Name) -> int:
    """The set of an mm, else NO_SET."""
    return next((n for n, ioasids in core.sets.items() if ioasids.token == token), NO_SET)


def record_capacity(core: IoasidCore, out: Out) -> None:
    """What is there, what can be had, what is set aside."""
    out.record(CapacityChanged(core.capacity, core.available, core.reserved))
