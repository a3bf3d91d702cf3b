"""Alloc, free and reclaim: how a number leaves the pool and comes back (§2, §3.2, §3.3).

Kernel: ioasid_alloc, ioasid_free and ioasid_free_all_in_set of drivers/iommu/ioasid.c,
"[PATCH V4 00/18]".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.ioasid_core.pool import NONE_FREE, give_number, smallest_from, take_number
from actors.ioasid_core.state import (
    ALLOC_NOSPC,
    Life,
    Notice,
    Transition,
    find_life,
    life_of,
    owner_entry,
    record_set_use,
)
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import (
    FreeAnswered,
    FreeRequested,
    PasidAllocated,
    PasidReclaimed,
    ReferenceDropped,
    ReferenceTaken,
    StateChanged,
)
from protocol.lifecycle import Move, State, move
from protocol.messages import (
    AllocPasid,
    AllocPasidGot,
    AnyMessage,
    Done,
    FreeAllInSet,
    FreePasid,
    Refused,
)
from protocol.names import INVALID_PASID, Incarnation, Name, Pasid

if TYPE_CHECKING:
    from actors.ioasid_core import IoasidCore


def on_alloc_pasid(core: IoasidCore, alloc: AllocPasid, sender: Name, out: Out) -> None:
    """The smallest free number of the range, within quota; a failure gives none (mends S45)."""
    record_set_use(alloc.set, out)
    pasid = core.number_for(alloc)
    errno = Errno.ENOSPC if pasid == NONE_FREE else out.may_fail(ALLOC_NOSPC)
    if errno is not None:
        core.refuse_alloc(alloc, sender, out)
        return

    incarnation = core.allocate(pasid, alloc.set, sender, out)
    core.notify(pasid, Notice(Transition.ALLOC), out)
    core.reply(sender, AllocPasidGot(alloc.call, pasid, incarnation), out)


def number_for(core: IoasidCore, alloc: AllocPasid) -> Pasid:
    """NONE_FREE without a set, in one that is on its way out, above its quota or out of range."""
    ioasids = core.sets.get(alloc.set)
    if ioasids is None or ioasids.freeing or ioasids.count >= ioasids.quota:
        return NONE_FREE
    pasid = smallest_from(core.numbers, max(alloc.min, 0))
    return pasid if pasid <= alloc.max else NONE_FREE


def refuse_alloc(_core: IoasidCore, alloc: AllocPasid, sender: Name, out: Out) -> None:
    """No number goes out with a refusal."""
    out.send(sender, Refused(alloc.call, Errno.ENOSPC))


def allocate(core: IoasidCore, pasid: Pasid, number: int, owner: Name, out: Out) -> Incarnation:
    """A new life begins, held by its owner alone."""
    ioasids = core.sets[number]
    take_number(core.numbers, pasid)
    ioasids.count += 1
    core.incarnations += 1
    life = core.lives[pasid] = Life(core.incarnations, number, owner)

    token, entry = ioasids.token, owner_entry(owner)
    out.record(PasidAllocated(pasid, life.incarnation, number, token, ioasids.count))
    state = State.IDLE.value
    out.record(ReferenceTaken(pasid, life.incarnation, entry, life.refs, state, token))
    core.change_state(pasid, Move.ALLOC, out)
    return life.incarnation


def on_free_pasid(core: IoasidCore, free: FreePasid, sender: Name, out: Out) -> None:
    """Answered at once and always Done (N18)."""
    core.free(free.pasid, free.set, sender, out)
    core.reply(sender, Done(free.call), out)


def on_free_all_in_set(core: IoasidCore, free: FreeAllInSet, sender: Name, out: Out) -> None:
    """As free, for each PASID of the set."""
    for pasid in [n for n, life in enumerate(core.lives) if life and life.set == free.set]:
        core.free(pasid, free.set, sender, out)
    core.reply(sender, Done(free.call), out)


def reply(_core: IoasidCore, to: Name, message: AnyMessage, out: Out) -> None:
    """Alloc and free do not wait for the chain that they begin."""
    out.send(to, message)


def free(core: IoasidCore, pasid: Pasid, number: int, by: Name, out: Out) -> None:
    """Unknown, another set's (NO_SET is none) or already pending: no effect, in silence."""
    record_set_use(number, out)
    life = find_life(core, pasid)
    if life is None:
        out.record(FreeRequested(pasid, 0, number, by, effective=False, state=State.FREE.value))
        core.free_returns(pasid, 0, by, out)
        return

    incarnation, effective = life.incarnation, core.may_free(life, number)
    out.record(FreeRequested(pasid, incarnation, number, by, effective, life.state.value))
    if effective:
        core.let_go(pasid, out)
    core.free_returns(pasid, incarnation, by, out)


def free_returns(
    _core: IoasidCore, pasid: Pasid, incarnation: Incarnation, by: Name, out: Out
) -> None:
    """In the call itself (N18)."""
    out.record(FreeAnswered(pasid, incarnation, by))


def may_free(_core: IoasidCore, life: Life, number: int) -> bool:
    """The set owns its PASIDs, whoever asks in its name; a second free changes nothing (S39)."""
    return life.set == number and life.state is not State.FREE_PENDING


def let_go(core: IoasidCore, pasid: Pasid, out: Out) -> None:
    """The owner's reference goes; the others are told only if there are any (S16, O10)."""
    life = life_of(core, pasid)
    entry = owner_entry(life.owner)
    life.owner = ""
    out.record(ReferenceDropped(pasid, life.incarnation, entry, life.refs))

    if core.change_state(pasid, Move.FREE, out) is State.FREE:
        core.reclaim(pasid, out)
    else:
        core.notify(pasid, Notice(Transition.FREE), out)


def change_state(core: IoasidCore, pasid: Pasid, what: Move, out: Out) -> State:
    """The one way in which a state changes: by the table (§2.1)."""
    life = life_of(core, pasid)
    before, after = life.state, move(life.state, what)
    life.state = after
    out.record(StateChanged(pasid, life.incarnation, before._value_, after._value_, life.refs))
    return after


def reclaim(core: IoasidCore, pasid: Pasid, out: Out) -> None:
    """The number is back in the pool; the fact says what is held at that moment, rightly or not."""
    life, core.lives[pasid] = life_of(core, pasid), None
    ioasids = core.sets[life.set]
    ioasids.count -= 1
    give_number(core.numbers, pasid)
    record_set_use(life.set, out)
    out.record(
        PasidReclaimed(
            pasid,
            life.incarnation,
            life.set,
            life.refs,
            life.holders,
            life.spid,
            life.data,
            ioasids.count,
        )
    )
    if life.spid != INVALID_PASID:
        ioasids.spids.remove((life.spid, pasid))
    core.end_chain(pasid, out)
    if core.set_goes(ioasids):
        core.drop_set(life.set, out)
