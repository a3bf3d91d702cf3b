"""Custom allocators: somebody else's functions choose the numbers, the core only keeps them.

The first that was registered is active; those that share its functions share its space.  The core
asks the helper functions under its lock: whoever needs the lock waits until they have answered.
Only the active allocator has numbers out, since another becomes active either without any or by
losing them.

Kernel: drivers/iommu/ioasid.c of Linux 5.5 to 6.1, "iommu/ioasid: Add custom allocators".  §3.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from actors.ioasid_core.state import find_life
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import (
    AllocPasid,
    CustomAlloc,
    CustomAllocGot,
    CustomFree,
    CustomFreed,
    Done,
    FreePasid,
    RegisterAllocator,
    SetData,
    UnregisterAllocator,
)
from protocol.names import INVALID_PASID, Name, Pasid

if TYPE_CHECKING:
    from actors.ioasid_core.mainline import MainlineCore

LOCKED: Final = (AllocPasid, FreePasid, SetData, RegisterAllocator, UnregisterAllocator)
"""What takes the allocator's lock; find does not."""


class Allocator(Struct, frozen=True):
    """A list entry: who registered first with these helpers, and all that are `sharing` it since.

    It keeps the first one's name and data, also when that one has been unregistered.
    """

    name: Name
    helpers: Name
    data: int
    sharing: tuple[Name, ...]


class Holder(Struct, frozen=True):
    """Who has the lock while a helper runs, and what for; `undo`: the helper's number was taken."""

    asker: Name
    what: AllocPasid | FreePasid
    undo: bool = False


class Waiter(Struct, frozen=True):
    """Who waits for the lock, and what with."""

    asker: Name
    what: AllocPasid | FreePasid | SetData | RegisterAllocator | UnregisterAllocator


def register_refusal(core: MainlineCore, register: RegisterAllocator) -> Errno | None:
    """EAGAIN while numbers of the default allocator are out; EEXIST for an entry's first name.

    So a name that only shares an entry can come twice, and one that has gone from the entry that it
    was the first of cannot come back.
    """
    if not core.allocators:
        return Errno.EAGAIN if any(core.lives) else None
    if any(entry.name == register.allocator for entry in core.allocators):
        return Errno.EEXIST
    return None


def register_allocator(core: MainlineCore, register: RegisterAllocator) -> None:
    """The first is active at once; one whose helpers are known joins their entry."""
    name, helpers = register.allocator, register.helpers
    for at, entry in enumerate(core.allocators):
        if entry.helpers == helpers:
            sharing = (*entry.sharing, name)
            core.allocators[at] = msgspec.structs.replace(entry, sharing=sharing)
            return
    core.allocators.append(Allocator(name, helpers, register.data, (name,)))


def unregister_allocator(core: MainlineCore, gone: UnregisterAllocator, out: Out) -> None:
    """The last that shares an entry takes it away, whichever name it came with.

    With the active entry all its numbers are lost; the next in line is active, or the default.
    """
    for at, entry in enumerate(core.allocators):
        if entry.helpers != gone.helpers:
            continue
        if len(entry.sharing) > 1:
            sharing = list(entry.sharing)
            if gone.allocator in sharing:
                sharing.remove(gone.allocator)
            core.allocators[at] = msgspec.structs.replace(entry, sharing=tuple(sharing))
            return
        del core.allocators[at]
        if at == 0:
            lose_numbers(core, out)
        return


def lose_numbers(core: MainlineCore, out: Out) -> None:
    """Whoever still has one has a number that nobody knows any more."""
    for pasid in [number for number, life in enumerate(core.lives) if life is not None]:
        core.reclaim(pasid, out)


def ask_for_number(core: MainlineCore, alloc: AllocPasid, sender: Name, out: Out) -> None:
    """The helper of the active allocator chooses, with the data of its entry."""
    active = core.allocators[0]
    core.holder = Holder(sender, alloc)
    out.send(active.helpers, CustomAlloc(alloc.call, alloc.min, alloc.max, active.data))


def on_custom_alloc_got(core: MainlineCore, got: CustomAllocGot, helpers: Name, out: Out) -> None:
    """A number that is out already, or none that could be, goes back to the helper."""
    holder = core.holder
    assert holder is not None, "a helper answers only who holds the lock"
    alloc = holder.what
    assert isinstance(alloc, AllocPasid), "a free asks for no number"
    if got.pasid == INVALID_PASID:
        core.refuse_alloc(alloc, holder.asker, out)
        unlock(core, out)
    elif is_out(core, got.pasid):
        core.holder = Holder(holder.asker, alloc, undo=True)
        out.send(helpers, CustomFree(alloc.call, got.pasid, core.allocators[0].data))
    else:
        core.give(got.pasid, alloc, holder.asker, out)
        unlock(core, out)


def is_out(core: MainlineCore, pasid: Pasid) -> bool:
    """Whether the core cannot keep this number."""
    return not 0 < pasid < len(core.lives) or find_life(core, pasid) is not None


def ask_to_free(core: MainlineCore, free: FreePasid, sender: Name, out: Out) -> None:
    """The helper first; find still sees the number until it has returned."""
    active = core.allocators[0]
    core.holder = Holder(sender, free)
    out.send(active.helpers, CustomFree(free.call, free.pasid, active.data))


def on_custom_freed(core: MainlineCore, _freed: CustomFreed, _helpers: Name, out: Out) -> None:
    """Either the number of a free, or one that an alloc could not use."""
    holder = core.holder
    assert holder is not None, "a helper answers only who holds the lock"
    if isinstance(holder.what, AllocPasid):
        assert holder.undo, "an alloc frees only what it cannot use"
        core.refuse_alloc(holder.what, holder.asker, out)
    else:
        core.free(holder.what.pasid, holder.what.set, holder.asker, out)
        out.send(holder.asker, Done(holder.what.call))
    unlock(core, out)


def unlock(core: MainlineCore, out: Out) -> None:
    """Whoever waited goes on, in the order of coming, until one has to wait for a helper again."""
    core.holder = None
    while core.waiting and core.holder is None:
        waiter = core.waiting.pop(0)
        core.handle(waiter.what, waiter.asker, out)
