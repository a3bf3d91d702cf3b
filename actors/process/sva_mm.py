"""Mms: who holds their structs, which domains are told of what they do, and faults into them.

The PASID is given back when the struct goes, and nowhere before (2667ed10d9f0); of the SVA domains
that hold it the SVA core knows.

Kernel: kernel/fork.c (mmgrab, mmdrop, __mmdrop), mm/mmu_notifier.c, iommu_sva_handle_mm of 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

from actors.process.state import FIRST
from actors.process.sva_state import Grace, Mm
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.facts import MmFreed
from protocol.facts.accelerators import MmCounted, NotifierAdded, NotifierPut
from protocol.messages.accelerators import HoldMm, LetMmGo
from protocol.messages.address_spaces import (
    HandleMmFault,
    InvalidateSecondaryTlbs,
    PutMmuNotifier,
    RegisterMmuNotifier,
)
from protocol.messages.common import Done, Refused
from protocol.messages.sva import MmPasidDrop
from protocol.names import IOMMU, SVA_CORE, Call, Name

if TYPE_CHECKING:
    from actors.process.sva_process import SvaProcess

Request: TypeAlias = RegisterMmuNotifier | PutMmuNotifier | HandleMmFault | HoldMm | LetMmGo

GRACE: Final = "grace"
STRAY: Final = 1 << 19
"""From this page on nothing is mapped, and nothing ever will be."""
NOMEM_NOTIFIER: Final = Site("process.mmu_notifier.nomem", Errno.ENOMEM)


def on_request(process: SvaProcess, request: Request, sender: Name, out: Out) -> None:
    """What a driver or the fault core asks of an mm."""
    match request:
        case RegisterMmuNotifier():
            on_register(process, request, sender, out)
        case PutMmuNotifier():
            on_put(process, request, sender, out)
        case HandleMmFault():
            there = is_there(process.mms.get(request.mm), request.page)
            answer = Done(request.call) if there else Refused(request.call, Errno.EFAULT)
            out.send(sender, answer)
        case HoldMm():
            mm = process.mms.get(request.mm)
            if mm is None or not mm.users:
                out.send(sender, Refused(request.call, Errno.EINVAL))
                return
            count(process, request.mm, out, count=1)
            out.send(sender, Done(request.call))
        case LetMmGo():
            process.drop(request.mm, out)
        case _:
            assert_never(request)


def is_there(mm: Mm | None, page: int) -> bool:
    """Whether an access can be mended: the address space is there (mmget_not_zero), and the page.

    What is mapped and has not been touched becomes present here.
    """
    return mm is not None and mm.users > 0 and page < STRAY and page not in mm.unmapped


# --- Who is told ----------------------------------------------------------------------------------


def on_register(process: SvaProcess, register: RegisterMmuNotifier, sender: Name, out: Out) -> None:
    """Takes a reference; whoever binds an mm without users has broken its contract."""
    mm = process.mms.get(register.mm)
    errno = Errno.EINVAL if mm is None or not mm.users else out.may_fail(NOMEM_NOTIFIER)
    if mm is None or errno is not None:
        out.send(sender, Refused(register.call, errno or Errno.EINVAL))
        return
    mm.notifiers.insert(0, register.domain)
    process.hold_notifier(register.mm, out)
    out.record(NotifierAdded(register.mm, register.domain))
    out.send(sender, Done(register.call))


def hold_notifier(process: SvaProcess, mm: Name, out: Out) -> None:
    """The struct stays while somebody is to be told (mmgrab)."""
    count(process, mm, out, count=1)


def drop_notifier(process: SvaProcess, mm: Name, out: Out) -> None:
    """It need not stay any more for a notifier whose grace period is over (mmdrop)."""
    process.drop(mm, out)


def on_put(process: SvaProcess, put: PutMmuNotifier, sender: Name, out: Out) -> None:
    """Nobody who begins to walk the list finds it; those who are there may still call it."""
    mm = process.mms.get(put.mm)
    if mm is not None and put.domain in mm.notifiers:
        mm.notifiers.remove(put.domain)
    out.record(NotifierPut(put.mm, put.domain))
    number = next(one for one in range(len(process.graces) + 1) if one not in process.graces)
    process.graces[number] = Grace(put.mm, put.domain, sender, put.call)
    out.set_timer(f"{GRACE}:{number}")


def end_graces(process: SvaProcess, out: Out) -> None:
    """Those that are over, and whose callback has returned: the reference goes."""
    for number, grace in list(process.graces.items()):
        mm = process.mms.get(grace.mm)
        if grace.over and (mm is None or grace.domain not in mm.calling.values()):
            del process.graces[number]
            out.send(grace.sender, Done(grace.call))
            process.drop_notifier(grace.mm, out)


def tell(mm: Mm, walk: list[Name], call: Call, page: int, out: Out) -> bool:
    """The next domain of a walk that is still on the list; False if there is none."""
    mm.calling.pop(call, None)
    while walk:
        domain = walk.pop(0)
        if domain in mm.notifiers:
            mm.calling[call] = domain
            out.send(IOMMU, InvalidateSecondaryTlbs(call, domain, page))
            return True
    return False


# --- Who holds the struct -------------------------------------------------------------------------


def count(process: SvaProcess, name: Name, out: Out, *, users: int = 0, count: int = 0) -> None:
    """mm_users and mm_count change."""
    mm = process.mms[name]
    mm.users += users
    mm.count += count
    out.record(MmCounted(name, mm.users, mm.count))


def drop(process: SvaProcess, name: Name, out: Out) -> None:
    """mmdrop: with the last reference the struct goes."""
    count(process, name, out, count=-1)
    if not process.mms[name].count:
        process.struct_gone(name, out)


def struct_gone(process: SvaProcess, name: Name, out: Out) -> None:
    """__mmdrop: here, and nowhere before, the PASID is given back."""
    give_back(process, name, out)


def address_space_gone(_process: SvaProcess, _name: Name, _out: Out) -> None:
    """The end of __mmput: the PASID stays (2667ed10d9f0)."""


def give_back(process: SvaProcess, name: Name, out: Out) -> None:
    """mm_pasid_drop; the SVA core waits for the domains that hold the struct."""
    call = FIRST
    while call in process.tasks or call in process.drops:
        call += 1
    process.drops[call] = name
    out.send(SVA_CORE, MmPasidDrop(call, name))


def freed(process: SvaProcess, call: Call, out: Out) -> None:
    """Nobody holds it, and its PASID is back."""
    name = process.drops.pop(call)
    if not process.mms[name].count:
        del process.mms[name]
        out.record(MmFreed(name))
