"""What the IOASID core remembers: lives, sets, notifier blocks, and chains that are under way.

Kernel: struct ioasid_data, struct ioasid_set and struct ioasid_set_nb of drivers/iommu/ioasid.c,
"[PATCH V4 00/18] IOASID extensions for guest SVA".  §3.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.facts import MemoryUsed
from protocol.lifecycle import State
from protocol.messages import Priority, SetKind
from protocol.names import (
    INVALID_PASID,
    NO_DATA,
    NO_SET,
    Call,
    Gpasid,
    Incarnation,
    Name,
    Pasid,
)

if TYPE_CHECKING:
    from actors.ioasid_core import IoasidCore

ALLOC_SET_NOMEM: Final = Site("core.alloc_set.nomem", Errno.ENOMEM)
ALLOC_NOSPC: Final = Site("core.alloc.nospc", Errno.ENOSPC)
REGISTER_NOMEM: Final = Site("core.register.nomem", Errno.ENOMEM)

SITES: Final = (ALLOC_SET_NOMEM, ALLOC_NOSPC, REGISTER_NOMEM)


# There can be 2**20 of them: no header for the garbage collector, which need not look at any.
class Life(Struct, gc=False):
    """One PASID that is not FREE.

    `owner` is who allocated it, and "" once it has been freed; `ledger` counts everybody else's
    references, per `actor:reason`.
    """

    incarnation: Incarnation
    set: int
    owner: Name
    state: State = State.FREE
    spid: Gpasid = INVALID_PASID
    data: int = NO_DATA
    ledger: dict[str, int] = {}

    @property
    def refs(self) -> int:
        """All references, the owner's among them."""
        return sum(self.ledger.values()) + (self.owner != "")

    @property
    def holders(self) -> tuple[str, ...]:
        """Who holds one, whatever the order in which they came."""
        owner = [owner_entry(self.owner)] if self.owner else []
        return tuple(sorted([*owner, *self.ledger]))


class IoasidSet(Struct):
    """`count` PASIDs out of `quota`; `freeing`: it goes with its last one.

    Only an MM set has a `token`; `spids`, in order, says which PASID each of its SPIDs stands for.
    """

    kind: SetKind
    token: Name
    quota: int
    count: int = 0
    freeing: bool = False
    spids: list[tuple[Gpasid, Pasid]] = []


class Block(Struct):
    """A notifier block: on the global chain without a `token`, else on the chain of `set`.

    With a token and NO_SET it is pending.  One per subscriber and token.
    """

    subscriber: Name
    token: Name
    priority: Priority
    set: int = NO_SET


class Transition(Enum):
    """What subscribers are told of; facts spell it like this (by `_value_`: `value` is a call)."""

    ALLOC = "ALLOC"
    FREE = "FREE"
    BIND = "BIND"
    UNBIND = "UNBIND"


class Notice(Struct):
    """A transition that is to be told, and who is answered at the end of its chain ("" nobody)."""

    transition: Transition
    asker: Name = ""
    call: Call = 0


class Chain(Struct):
    """A notice on its way: `subscriber` has it now, as `call`, and `left` get it after that.

    `bad`: somebody answered BAD.  `over`: the life has ended meanwhile, and only the reply that is
    out is awaited.  `waiting` are the notices of the same number that come after it.
    """

    notice: Notice
    incarnation: Incarnation
    set: int
    token: Name
    spid: Gpasid
    left: list[tuple[Name, Name]]
    subscriber: Name = ""
    call: Call = 0
    bad: bool = False
    over: bool = False
    waiting: list[Notice] = []


def find_life(core: IoasidCore, pasid: Pasid) -> Life | None:
    """The life of a number that came in a message; None for what is FREE or no PASID at all."""
    return core.lives[pasid] if 0 < pasid < len(core.lives) else None


def life_of(core: IoasidCore, pasid: Pasid) -> Life:
    """The life of a number that is known to have one."""
    life = core.lives[pasid]
    assert life is not None, f"PASID {pasid} is FREE"
    return life


def owner_entry(owner: Name) -> str:
    """How facts name the reference that comes with the allocation."""
    return f"{owner}:owner"


def set_object(number: int) -> str:
    """How facts name the memory of a set."""
    return f"set{number}"


def record_set_use(number: int, out: Out) -> None:
    """A caller's pointer to a set is followed, whether or not the set is still there (N19)."""
    if number != NO_SET:
        out.record(MemoryUsed("set", set_object(number)))


def block_object(subscriber: Name, token: Name) -> str:
    """How facts name the memory of a notifier block."""
    return f"{subscriber}/{token}"
