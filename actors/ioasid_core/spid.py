"""Set-private IDs and private data: what is attached to a PASID (§3.6, §3.8).

Attaching an SPID is what BIND tells, detaching it what UNBIND tells; both are answered when the
chain has run.

Kernel: ioasid_attach_spid, ioasid_detach_spid, ioasid_find_by_spid, ioasid_attach_data and
ioasid_detach_data of drivers/iommu/ioasid.c, "[PATCH V4 00/18]".
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from actors.ioasid_core.ioasid_set import set_of
from actors.ioasid_core.state import IoasidSet, Life, Notice, Transition, find_life, life_of
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import DataAttached, DataDetached, SpidAttached, SpidDetached
from protocol.lifecycle import State
from protocol.messages import (
    AttachData,
    AttachSpid,
    DetachData,
    DetachSpid,
    Done,
    FindBySpid,
    FindBySpidGot,
    Refused,
)
from protocol.names import INVALID_PASID, NO_DATA, Gpasid, Name, Pasid

if TYPE_CHECKING:
    from actors.ioasid_core import IoasidCore


def on_attach_spid(core: IoasidCore, attach: AttachSpid, sender: Name, out: Out) -> None:
    """The SPID stands for the PASID from now on; the answer comes after BIND."""
    errno = core.attach_spid_refusal(attach)
    if errno is not None:
        out.send(sender, Refused(attach.call, errno))
        return

    life = life_of(core, attach.pasid)
    insort(core.sets[life.set].spids, (attach.spid, attach.pasid))
    life.spid = attach.spid
    spid, state = attach.spid, life.state.value
    out.record(SpidAttached(attach.pasid, life.incarnation, life.set, spid, state))
    core.notify(attach.pasid, Notice(Transition.BIND, sender, attach.call), out)


def attach_spid_refusal(core: IoasidCore, attach: AttachSpid) -> Errno | None:
    """EINVAL also for a PASID that has one: it would lose it without UNBIND (N4)."""
    life = find_life(core, attach.pasid)
    if attach.spid == INVALID_PASID:
        return Errno.EINVAL
    if life is None:
        return Errno.ENOENT
    if not core.may_attach_spid(life):
        return Errno.EBUSY
    if life.spid != INVALID_PASID or pasid_of(core.sets[life.set], attach.spid) is not None:
        return Errno.EINVAL
    return None


def may_attach_spid(_core: IoasidCore, life: Life) -> bool:
    """A bind that lost against free ends here (mends S10)."""
    return life.state is not State.FREE_PENDING


def may_bind(core: IoasidCore, pasid: Pasid) -> bool:
    """Where a subscriber was lost, nobody would clean up after the guest (§1.9)."""
    return core.sets[life_of(core, pasid).set].token not in core.bereft


def on_detach_spid(core: IoasidCore, detach: DetachSpid, sender: Name, out: Out) -> None:
    """UNBIND first; the SPID goes when everybody has been told (mends S18)."""
    if find_life(core, detach.pasid) is None:
        out.send(sender, Done(detach.call))  # It has no SPID, which is what was asked for.
        return

    core.notify(detach.pasid, Notice(Transition.UNBIND, sender, detach.call), out)


def clear_spid(core: IoasidCore, pasid: Pasid, out: Out) -> None:
    """It stands for the PASID no more."""
    life = life_of(core, pasid)
    spid, life.spid = life.spid, INVALID_PASID
    core.sets[life.set].spids.remove((spid, pasid))
    out.record(SpidDetached(pasid, life.incarnation, life.set, spid))


def on_find_by_spid(core: IoasidCore, find: FindBySpid, sender: Name, out: Out) -> None:
    """The PASID behind a guest's number, with a reference, as long as it may be had."""
    ioasids = core.sets.get(set_of(core, find.token))
    pasid = None if ioasids is None else pasid_of(ioasids, find.spid)
    if pasid is None:
        out.send(sender, Refused(find.call, Errno.ENOENT))
        return
    if not core.may_find(life_of(core, pasid)):
        out.send(sender, Refused(find.call, Errno.EBUSY))
        return

    core.take(pasid, f"{sender}:{find.reason}", find.token, out)
    out.send(sender, FindBySpidGot(find.call, pasid, life_of(core, pasid).incarnation))


def pasid_of(ioasids: IoasidSet, spid: Gpasid) -> Pasid | None:
    """The PASID that an SPID stands for in its set."""
    at = bisect_left(ioasids.spids, (spid, 0))
    found = ioasids.spids[at : at + 1]
    return found[0][1] if found and found[0][0] == spid else None


def may_find(_core: IoasidCore, life: Life) -> bool:
    """The same rule as for get: no back door to a reference (mends S24)."""
    return life.state is not State.FREE_PENDING


def on_attach_data(core: IoasidCore, attach: AttachData, sender: Name, out: Out) -> None:
    """Private data is constant from attach to detach (N13)."""
    errno = attach_data_refusal(core, attach)
    if errno is not None:
        out.send(sender, Refused(attach.call, errno))
        return

    life = life_of(core, attach.pasid)
    out.record(DataAttached(attach.pasid, life.incarnation, attach.data, life.data))
    life.data = attach.data
    out.send(sender, Done(attach.call))


def attach_data_refusal(core: IoasidCore, attach: AttachData) -> Errno | None:
    """ENOENT unknown, EINVAL no data, EBUSY occupied."""
    life = find_life(core, attach.pasid)
    if life is None:
        return Errno.ENOENT
    if attach.data == NO_DATA:
        return Errno.EINVAL
    return None if core.may_attach_data(life) else Errno.EBUSY


def may_attach_data(_core: IoasidCore, life: Life) -> bool:
    """What is there is not replaced (§3.8, mends S15)."""
    return life.data == NO_DATA


def on_detach_data(core: IoasidCore, detach: DetachData, sender: Name, out: Out) -> None:
    """Back to NULL; the caller waits for the readers, not the core."""
    life = find_life(core, detach.pasid)
    if life is None:
        out.send(sender, Refused(detach.call, Errno.ENOENT))
        return

    if life.data != NO_DATA:
        out.record(DataDetached(detach.pasid, life.incarnation, life.data))
        life.data = NO_DATA
    out.send(sender, Done(detach.call))
