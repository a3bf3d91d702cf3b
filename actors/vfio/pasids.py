"""VFIO_IOMMU_PASID_REQUEST: a process gets PASIDs and gives them back (§4.1).

A PASID is in the process's tree from the allocation until just before `ioasid_free`.  Free takes a
range, and takes every PASID of the process in it, whichever container uses it (S32).

Kernel: drivers/vfio/vfio_pasid.c, vfio_pasid_alloc, vfio_pasid_free_range, v7 of the series.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, assert_never

from actors.vfio import lock, tasks
from actors.vfio.state import Alloc, AllocStep, Answer, Free, refusal
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.facts import PasidLinked, PasidUnlinked
from protocol.messages import (
    AllocPasid,
    AllocPasidGot,
    AnyMessage,
    Done,
    FreePasid,
    FreePasidRange,
    Refused,
    RequestPasid,
    RequestPasidGot,
)
from protocol.names import CORE, PASID_COUNT, PASID_MIN, Name, Pasid, vm_of

if TYPE_CHECKING:
    from actors.vfio import Vfio

LINK = Site("vfio.alloc.link", Errno.ENOMEM)


def refuse(vfio: "Vfio", request: RequestPasid | FreePasidRange, sender: Name) -> Errno | None:
    """The range must be one, and the process have a vfio_mm."""
    if not PASID_MIN <= request.min <= request.max < PASID_COUNT:
        return Errno.EINVAL

    return None if vfio.is_open(vm_of(sender)) else Errno.EOPNOTSUPP


def on_request_pasid(vfio: "Vfio", request: RequestPasid, sender: Name, out: Out) -> None:
    """One PASID of the process's set, in turn."""
    failed = refuse(vfio, request, sender)
    if failed is not None:
        out.send(sender, Refused(request.call, failed))
        return

    task = Alloc(
        number=tasks.number(vfio),
        vm=vm_of(sender),
        caller=sender,
        call=request.call,
        min=request.min,
        max=request.max,
    )
    tasks.start(vfio, task, out)


def begin_alloc(vfio: "Vfio", alloc: Alloc, out: Out) -> None:
    """From the set of the process, so from its quota."""
    owned = vfio.processes[alloc.vm].set
    out.send(CORE, AllocPasid(alloc.number, owned, alloc.min, alloc.max))


def resume_alloc(vfio: "Vfio", alloc: Alloc, answer: Answer, out: Out) -> None:
    """One answer has come; go on from there."""
    match alloc.step:
        case AllocStep.ALLOC_PASID:
            on_allocated(vfio, alloc, answer, out)
        case AllocStep.FREE_PASID:
            finish(vfio, alloc, Refused(alloc.call, LINK.errno), out)
        case _:
            assert_never(alloc.step)


def on_allocated(vfio: "Vfio", alloc: Alloc, answer: Answer, out: Out) -> None:
    """Link it; a PASID that cannot be linked would never be freed, so it goes back at once."""
    failed = refusal(answer)
    if failed is not None:
        finish(vfio, alloc, Refused(alloc.call, vfio.errno_of_alloc(failed)), out)
        return

    assert isinstance(answer, AllocPasidGot)
    process = vfio.processes[alloc.vm]
    pasid, incarnation = answer.pasid, answer.incarnation
    if out.may_fail(LINK) is not None:
        alloc.step = AllocStep.FREE_PASID
        out.send(CORE, FreePasid(alloc.number, process.set, pasid, incarnation))
        return

    process.pasids[pasid] = incarnation
    out.record(PasidLinked(pasid, incarnation, alloc.vm))
    finish(vfio, alloc, RequestPasidGot(alloc.call, pasid, incarnation), out)


def on_free_pasid_range(vfio: "Vfio", free: FreePasidRange, sender: Name, out: Out) -> None:
    """Whatever is in the range, in turn."""
    failed = refuse(vfio, free, sender)
    if failed is not None:
        out.send(sender, Refused(free.call, failed))
        return

    task = Free(
        number=tasks.number(vfio),
        vm=vm_of(sender),
        caller=sender,
        call=free.call,
        min=free.min,
        max=free.max,
    )
    tasks.start(vfio, task, out)


def free_next(vfio: "Vfio", free: Free, out: Out) -> None:
    """The lowest one that is left; freeing what is not ours is no error and has no effect."""
    process = vfio.processes[free.vm]
    pasid = lowest(process.pasids, free.min, free.max)
    if pasid is None:
        finish(vfio, free, Done(free.call), out)
        return

    incarnation = process.pasids.pop(pasid)
    out.record(PasidUnlinked(pasid, incarnation, free.vm))
    out.send(CORE, FreePasid(free.number, process.set, pasid, incarnation))


def lowest(pasids: Collection[Pasid], low: Pasid, high: Pasid) -> Pasid | None:
    """The lowest of these in the range: most ranges are one PASID."""
    if low == high:
        return low if low in pasids else None
    return min((pasid for pasid in pasids if low <= pasid <= high), default=None)


def finish(vfio: "Vfio", task: Alloc | Free, answer: AnyMessage, out: Out) -> None:
    """The next may come in, and the guest goes on."""
    lock.release(vfio, task, out)
    tasks.end(vfio, task, answer, out)
