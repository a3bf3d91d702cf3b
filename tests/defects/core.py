"""Mistakes of the IOASID core, each in one rule."""

from dataclasses import dataclass, field

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.pool import NONE_FREE, smallest_from
from actors.ioasid_core.state import Block, IoasidSet, Notice, Transition, find_life, life_of
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import FreeAnswered, FreeRequested
from protocol.lifecycle import Move, State
from protocol.messages import (
    AllocPasid,
    AttachSpid,
    Done,
    FreePasid,
    HostLost,
    Refused,
)
from protocol.names import INVALID_PASID, Call, Gpasid, Name, Pasid


class ReclaimsFromTheLost(IoasidCore):
    """R1.  What nobody but the lost holds is given back, as if they had put (§1.9)."""

    def drop(self, pasid: Pasid, entry: str, out: Out) -> bool:
        reclaimed = super().drop(pasid, entry, out)
        life = find_life(self, pasid)
        if life is None or life.state is not State.FREE_PENDING:
            return reclaimed
        if any(holder.partition(":")[0] not in self.lost for holder in life.ledger):
            return reclaimed
        self.change_state(pasid, Move.LAST_PUT, out)
        self.reclaim(pasid, out)
        return True


class TakesBackAFailedAlloc(IoasidCore):
    """R11, S45.  Alloc fails after it has given the number out, and takes it back by itself."""

    def refuse_alloc(self, alloc: AllocPasid, sender: Name, out: Out) -> None:
        pasid = self.number_for(alloc)
        if pasid != NONE_FREE:
            self.allocate(pasid, alloc.set, sender, out)
            self.let_go(pasid, out)
        super().refuse_alloc(alloc, sender, out)


class NotifiesASecondFree(IoasidCore):
    """N4, S39.  Free does not look whether it was called before, when it comes to notifying."""

    def free(self, pasid: Pasid, number: int, by: Name, out: Out) -> None:
        life = find_life(self, pasid)
        again = life is not None and life.state is State.FREE_PENDING
        super().free(pasid, number, by, out)
        if again:
            self.notify(pasid, Notice(Transition.FREE), out)


class ClearsTheSpidFirst(IoasidCore):
    """N5, S18.  When UNBIND goes out, the SPID that it should name is not there any more."""

    def told_spid(self, pasid: Pasid, transition: Transition, out: Out) -> Gpasid:
        spid = super().told_spid(pasid, transition, out)
        return INVALID_PASID if transition is Transition.UNBIND else spid


class ForgetsWhatTheLostHold(IoasidCore):
    """N6.  The references of the lost leave the count without having been put (§1.9)."""

    def on_host_lost(self, lost: HostLost, out: Out) -> None:
        super().on_host_lost(lost, out)
        for life in self.lives:
            for holder in list(life.ledger) if life else []:
                if life and holder.startswith(f"{lost.name}:"):
                    del life.ledger[holder]


class AttachesAnSpidTwice(IoasidCore):
    """N8, S40.  Nobody looks whether the set uses the SPID for another PASID."""

    def attach_spid_refusal(self, attach: AttachSpid) -> Errno | None:
        errno = super().attach_spid_refusal(attach)
        used = errno is Errno.EINVAL and attach.spid != INVALID_PASID
        return None if used and life_of(self, attach.pasid).spid == INVALID_PASID else errno


class AllowsOneTooMany(IoasidCore):
    """N9.  The quota is compared before the new PASID is counted."""

    def number_for(self, alloc: AllocPasid) -> Pasid:
        ioasids: IoasidSet | None = self.sets.get(alloc.set)
        if ioasids is None or ioasids.freeing or ioasids.count > ioasids.quota:
            return NONE_FREE
        pasid = smallest_from(self.numbers, alloc.min)
        return pasid if pasid <= alloc.max else NONE_FREE


class RefusesToFreeWhatIsInUse(IoasidCore):
    """N18.  While others hold it, free fails, and its caller has nothing else to try."""

    def on_free_pasid(self, free: FreePasid, sender: Name, out: Out) -> None:
        life = find_life(self, free.pasid)
        if life is None or not life.ledger:
            super().on_free_pasid(free, sender, out)
            return
        asked = (free.pasid, life.incarnation)
        out.record(FreeRequested(*asked, free.set, sender, False, life.state.value))
        out.record(FreeAnswered(*asked, sender, ok=False))
        out.send(sender, Refused(free.call, Errno.EBUSY))


@dataclass(slots=True)
class AnswersFreeAtTheLastPut(IoasidCore):
    """N18.  Free returns when the last holder has put, however long that takes."""

    callers: dict[Pasid, tuple[Name, Call]] = field(default_factory=dict)

    def on_free_pasid(self, free: FreePasid, sender: Name, out: Out) -> None:
        life = find_life(self, free.pasid)
        if life is None or not life.ledger or not self.may_free(life, free.set):
            IoasidCore.on_free_pasid(self, free, sender, out)
            return
        state = life.state.value
        out.record(FreeRequested(free.pasid, life.incarnation, free.set, sender, True, state))
        self.callers[free.pasid] = (sender, free.call)
        self.let_go(free.pasid, out)

    def reclaim(self, pasid: Pasid, out: Out) -> None:
        life = life_of(self, pasid)
        IoasidCore.reclaim(self, pasid, out)
        caller, call = self.callers.pop(pasid, ("", 0))
        if caller:
            out.record(FreeAnswered(pasid, life.incarnation, caller))
            out.send(caller, Done(call))


class NeverTellsOfFree(IoasidCore):
    """L1, S17.  FREE is taken for a notification that users may not send, and goes to nobody."""

    def hears(self, block: Block, transition: Transition, number: int) -> bool:
        return transition is not Transition.FREE and super().hears(block, transition, number)
