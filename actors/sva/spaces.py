"""An mm as SVA sees it: its PASID, who keeps its struct, its domains, its tagged pointers.

The PASID goes when nobody keeps the struct: the process and its lazy CPUs have dropped it
(MmPasidDrop), and no SVA domain is left that holds it.

Kernel: iommu_alloc_mm_data, mm_pasid_drop, iommu_sva_mms; 2667ed10d9f0, e37d5a2d60a3.  §8 (I03).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, assert_never

from actors.sva.state import NO_PASID, Asked, Bind, Domain, Drop, Mm
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.accelerators import MmPasidBegun
from protocol.facts.sva import (
    MmHeld,
    MmLetGo,
    SvaDomainLinked,
    SvaDomainUnlinked,
    SvaDomainUsed,
    SvaPasidDropped,
    SvaPasidGiven,
    SvaPresent,
)
from protocol.messages.accelerators import GetMmPasid, InitMmPasid, MmPasidGot
from protocol.messages.common import Done, Refused
from protocol.messages.iommu_core import AllocGlobalPasidGot, FreeGlobalPasid
from protocol.messages.sva import EnableLam, ForceTaggedSva, MmPasidDrop
from protocol.names import INVALID_PASID, IOMMU_CORE, Name

if TYPE_CHECKING:
    from actors.sva import Sva


Unlocked: TypeAlias = MmPasidDrop | EnableLam | ForceTaggedSva | InitMmPasid | GetMmPasid


def on_unlocked(sva: Sva, request: Unlocked, sender: Name, out: Out) -> None:
    """What is done to one mm without the lock."""
    match request:
        case MmPasidDrop():
            sva.on_mm_pasid_drop(request, sender, out)
        case EnableLam():
            sva.on_enable_lam(request, sender, out)
        case ForceTaggedSva():
            sva.on_force_tagged_sva(request, sender, out)
        case InitMmPasid():
            sva.begin_mm(request, out)
            out.send(sender, Done(request.call))
        case GetMmPasid():
            mm = sva.mms.get(request.mm, Mm())
            pasid = mm.pasid or INVALID_PASID
            out.send(sender, MmPasidGot(request.call, pasid, mm.incarnation))
        case _:
            assert_never(request)


def begin_mm(_sva: Sva, init: InitMmPasid, out: Out) -> None:
    """mm_pasid_init: whatever it is a copy of, it has no PASID (82e69a121be4, I15)."""
    out.record(MmPasidBegun(init.mm, init.of, NO_PASID, 0))


def give_pasid(sva: Sva, mm: Name, got: AllocGlobalPasidGot, out: Out) -> None:
    """The number is the mm's until its struct goes (I14)."""
    of_mm = sva.mms[mm]
    of_mm.pasid, of_mm.incarnation = got.pasid, got.incarnation
    out.record(SvaPasidGiven(mm, got.pasid, got.incarnation))


def on_mm_pasid_drop(sva: Sva, drop: MmPasidDrop, sender: Name, out: Out) -> None:
    """Not yet, if a domain holds the struct: then with the last of them."""
    mm = sva.mms.get(drop.mm)
    if mm is None:
        out.send(sender, Done(drop.call))
        return
    holder = sva.tasks.get(sva.holder) if sva.holder is not None else None
    if isinstance(holder, Bind) and holder.request.mm == drop.mm:
        sva.waiting.append(Asked(sender, drop))  # Whoever binds an mm has a reference on it.
        return
    mm.dropping = Asked(sender, drop)
    if sva.may_drop(mm):
        _drop(sva, drop.mm, mm.dropping, out)


def may_drop(_sva: Sva, mm: Mm) -> bool:
    """Whether nobody keeps the struct (mm_count is 0)."""
    return mm.dropping is not None and not mm.holds


def _drop(sva: Sva, name: Name, asked: Asked, out: Out) -> None:
    mm = sva.mms.pop(name)
    drop = Drop(sva.number_for(asked.request), asked)
    if mm.pasid == NO_PASID:
        dropped(drop, out)
        return
    sva.tasks[drop.number] = drop
    out.record(SvaPasidDropped(name, mm.pasid, mm.incarnation))
    sva.give_back(drop, mm, out)


def give_back(_sva: Sva, drop: Drop, mm: Mm, out: Out) -> None:
    """To the numbers of the IOMMU core, which hands out the lowest."""
    out.send(IOMMU_CORE, FreeGlobalPasid(drop.number, mm.pasid, mm.incarnation))


def dropped(drop: Drop, out: Out) -> None:
    """The number is free."""
    request = drop.asked.request
    assert isinstance(request, MmPasidDrop), "nothing else drops a PASID"
    out.send(drop.asked.sender, Done(request.call))


# --- Who keeps the struct, and which domains a bind finds -----------------------------------------


def hold(sva: Sva, mm: Name, domain: Name, out: Out) -> None:
    """A domain that is made takes a reference (mmgrab)."""
    sva.mms[mm].holds += 1
    out.record(MmHeld(mm, domain))


def let_go(sva: Sva, mm: Name, domain: Name, out: Out) -> None:
    """A domain that is freed drops it; after the last one nothing of the mm may be looked at."""
    of_mm = sva.mms[mm]
    of_mm.holds -= 1
    out.record(MmLetGo(mm, domain))
    if of_mm.dropping is not None and sva.may_drop(of_mm):
        _drop(sva, mm, of_mm.dropping, out)


def link(sva: Sva, mm: Name, domain: Name, out: Out) -> None:
    """Found first by later binds; with the first one of all mms there is something to flush."""
    sva.mms[mm].domains.insert(0, Domain(domain, 1))
    out.record(SvaDomainLinked(domain, mm))
    out.record(SvaDomainUsed(domain, 1))
    if not sva.present:
        sva.present = True
        out.record(SvaPresent(on=True))


def unlink(sva: Sva, mm: Name, domain: Domain, out: Out) -> None:
    """Found by nobody any more."""
    sva.mms[mm].domains.remove(domain)
    out.record(SvaDomainUnlinked(domain.name, mm))
    if not any(one.domains for one in sva.mms.values()):
        sva.present = False
        out.record(SvaPresent(on=False))


# --- Tagged pointers ------------------------------------------------------------------------------


def on_enable_lam(sva: Sva, enable: EnableLam, sender: Name, out: Out) -> None:
    """A device would not ignore the tags, so either a PASID or tags."""
    mm = sva.mms.setdefault(enable.mm, Mm())
    if mm.pasid and not mm.forced:
        out.send(sender, Refused(enable.call, Errno.EINVAL))
        return
    mm.lam = True
    out.send(sender, Done(enable.call))


def on_force_tagged_sva(sva: Sva, force: ForceTaggedSva, sender: Name, out: Out) -> None:
    """The process says that it gives devices no tagged pointers."""
    sva.mms.setdefault(force.mm, Mm()).forced = True
    out.send(sender, Done(force.call))
