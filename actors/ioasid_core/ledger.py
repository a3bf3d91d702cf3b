"""The ledger: who holds a reference, for what, and whether the PASID goes with the last (§3.4).

Kernel: ioasid_get, ioasid_get_if_owned, ioasid_put and ioasid_find of drivers/iommu/ioasid.c,
"[PATCH V4 00/18]", 09/18 and 11/18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.ioasid_core.state import Life, find_life, life_of, record_set_use
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import ReferenceDropped, ReferenceTaken
from protocol.facts.amnesia import PutUnheld
from protocol.lifecycle import Move, State, move
from protocol.messages import (
    Done,
    FindPasid,
    FindPasidGot,
    GetIfOwned,
    GetPasid,
    PutPasid,
    PutPasidGot,
    Refused,
    SetKind,
)
from protocol.names import NO_SET, Name, Pasid

if TYPE_CHECKING:
    from actors.ioasid_core import IoasidCore


def on_get_pasid(core: IoasidCore, get: GetPasid, sender: Name, out: Out) -> None:
    """One more reference of (sender, reason), on behalf of the set if one is named."""
    errno = core.get_refusal(get)
    if errno is not None:
        out.send(sender, Refused(get.call, errno))
        return

    token = "" if get.set == NO_SET else core.sets[get.set].token
    core.take(get.pasid, f"{sender}:{get.reason}", token, out)
    out.send(sender, Done(get.call))


def get_refusal(core: IoasidCore, get: GetPasid) -> Errno | None:
    """EINVAL unknown, EBUSY pending, EACCES another set's."""
    life = find_life(core, get.pasid)
    if life is None:
        return Errno.EINVAL
    if not core.may_get(life):
        return Errno.EBUSY
    if get.set not in (NO_SET, life.set):
        return Errno.EACCES
    return None


def on_get_if_owned(core: IoasidCore, get: GetIfOwned, sender: Name, out: Out) -> None:
    """A reference for whoever owns the PASID, and for nobody else (N10)."""
    errno = core.owner_refusal(get)
    if errno is not None:
        out.send(sender, Refused(get.call, errno))
        return

    core.take(get.pasid, f"{sender}:{get.reason}", get.token, out)
    out.send(sender, Done(get.call))


def owner_refusal(core: IoasidCore, get: GetIfOwned) -> Errno | None:
    """ENOENT unknown, EINVAL not an mm's, EPERM another mm's, EBUSY pending."""
    life = find_life(core, get.pasid)
    if life is None:
        return Errno.ENOENT
    ioasids = core.sets[life.set]
    if ioasids.kind is not SetKind.MM:
        return Errno.EINVAL
    if ioasids.token != get.token:
        return Errno.EPERM
    return None if core.may_get(life) else Errno.EBUSY


def may_get(_core: IoasidCore, life: Life) -> bool:
    """What its owner has freed is on its way out (N3)."""
    return life.state is not State.FREE_PENDING


def take(core: IoasidCore, pasid: Pasid, holder: str, token: Name, out: Out) -> None:
    """The reference is in the ledger; the first beside the owner's makes the PASID ACTIVE."""
    life = life_of(core, pasid)
    record_set_use(life.set, out)
    if holder in life.ledger:
        life.ledger[holder] += 1
    else:
        life.ledger = dict(sorted([*life.ledger.items(), (holder, 1)]))

    first = life.state is State.IDLE
    state = move(life.state, Move.FIRST_GET) if first else life.state
    fact = ReferenceTaken(pasid, life.incarnation, holder, life.refs, state._value_, token)
    out.record(fact)
    if first:
        core.change_state(pasid, Move.FIRST_GET, out)


def on_put_pasid(core: IoasidCore, put: PutPasid, sender: Name, out: Out) -> None:
    """Only who has an entry can put; the owner's goes by free alone (mends S25c)."""
    life = find_life(core, put.pasid)
    entry = None if life is None else core.entry_to_put(life, f"{sender}:{put.reason}")
    if entry is None:
        out.record(PutUnheld(put.pasid, put.incarnation, f"{sender}:{put.reason}"))
    reclaimed = entry is not None and core.drop(put.pasid, entry, out)
    out.send(sender, PutPasidGot(put.call, reclaimed))


def entry_to_put(_core: IoasidCore, life: Life, holder: str) -> str | None:
    """The entry that this put takes from: the holder's own, or none."""
    return holder if holder in life.ledger else None


def drop(core: IoasidCore, pasid: Pasid, entry: str, out: Out) -> bool:
    """One reference less.  Whether it was the last, after its owner had freed (§2.3)."""
    life = life_of(core, pasid)
    life.ledger[entry] -= 1
    if life.ledger[entry] == 0:
        del life.ledger[entry]
    out.record(ReferenceDropped(pasid, life.incarnation, entry, life.refs))
    if life.ledger:
        return False

    reclaimed = core.change_state(pasid, Move.LAST_PUT, out) is State.FREE
    if reclaimed:
        core.reclaim(pasid, out)
    return reclaimed


def on_find_pasid(core: IoasidCore, find: FindPasid, sender: Name, out: Out) -> None:
    """The private data, in any state: who cleans up must find it too."""
    life = find_life(core, find.pasid)
    if life is None:
        out.send(sender, Refused(find.call, Errno.ENOENT))
        return
    if find.set not in (NO_SET, life.set):
        out.send(sender, Refused(find.call, Errno.EACCES))
        return

    out.send(sender, FindPasidGot(find.call, life.data))
