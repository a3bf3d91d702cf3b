"""The mm: its struct, its PASID, its notifier, its page faults, and the MSR of its task.

The struct lives as long as anybody pins it, users or not, and the PASID as long as the struct
(mends S14).  So a number does not come back while a device, a file in another process, or a CPU
that has not switched yet can still mean this mm by it.

Kernel: kernel/fork.c (mmgrab, mmdrop, __mmput, __mmdrop); "mm: Fix PASID use-after-free issue",
2667ed10d9f0.  §4.10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, assert_never

from actors.process import ia32_pasid
from actors.process.state import NOBODY
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import (
    MmFreed,
    MmNotifierRegistered,
    MmNotifierUnregistered,
    MmPasidAssigned,
)
from protocol.messages import (
    AssignPasid,
    Done,
    FlushFaults,
    FreePasid,
    LoadMsr,
    PageRequestReport,
    PageResponse,
    PinMm,
    PinMmGot,
    Refused,
    RegisterMmNotifier,
    ResponseCode,
    UnpinMm,
    UnregisterMmNotifier,
)
from protocol.names import CORE, Name

if TYPE_CHECKING:
    from actors.process import Process

Request: TypeAlias = (
    PinMm
    | UnpinMm
    | AssignPasid
    | RegisterMmNotifier
    | UnregisterMmNotifier
    | LoadMsr
    | FlushFaults
    | PageRequestReport
)


def on_request(process: Process, request: Request, sender: Name, out: Out) -> None:
    """What the driver asks of an mm."""
    match request:
        case PinMm():
            on_pin_mm(process, request, sender, out)
        case UnpinMm():
            out.send(sender, Done(request.call))
            process.unpin(out)
        case AssignPasid():
            on_assign_pasid(process, request, sender, out)
        case RegisterMmNotifier():
            process.mm.notifier = True
            mm = process.mm
            out.record(MmNotifierRegistered(process.name, mm.pasid, mm.incarnation))
            out.send(sender, Done(request.call))
        case UnregisterMmNotifier():
            on_unregister(process, request, sender, out)
        case LoadMsr():
            ia32_pasid.on_load_msr(process, request, sender, out)
        case FlushFaults():
            out.send(sender, Done(request.call))  # All that came before has been answered.
        case PageRequestReport():
            on_page_request_report(process, request, sender, out)
        case _:
            assert_never(request)


def on_pin_mm(process: Process, request: PinMm, sender: Name, out: Out) -> None:
    """An address space that has gone cannot be bound any more."""
    if process.mm.users == 0:
        out.send(sender, Refused(request.call, Errno.EINVAL))
        return
    process.pin()
    out.send(sender, PinMmGot(request.call, process.mm.pasid, process.mm.incarnation))


def pin(process: Process) -> None:
    """The struct, not the address space: a binder must not keep a process from exiting (S14)."""
    process.mm.count += 1


def unpin(process: Process, out: Out) -> None:
    """Mmdrop."""
    drop(process, out)


def drop(process: Process, out: Out) -> None:
    """One pin less; with the last one the struct goes."""
    process.mm.count -= 1
    if process.mm.count == 0:
        process.struct_gone(out)
        out.record(MmFreed(process.name))


def struct_gone(process: Process, out: Out) -> None:
    """__mmdrop: here, and nowhere before, the PASID is freed."""
    free_pasid(process, out)


def address_space_gone(_process: Process, _out: Out) -> None:
    """The end of __mmput: the PASID is not freed here (mends S14)."""


def free_pasid(process: Process, out: Out) -> None:
    """ioasid_free, in the name of the set that it came from."""
    mm = process.mm
    if mm.pasid:
        out.send(CORE, FreePasid(NOBODY, mm.set, mm.pasid, mm.incarnation))
        mm.set, mm.pasid, mm.incarnation = 0, 0, 0


def on_assign_pasid(process: Process, assign: AssignPasid, sender: Name, out: Out) -> None:
    """mm->pasid."""
    mm = process.mm
    mm.set, mm.pasid, mm.incarnation = assign.set, assign.pasid, assign.incarnation
    out.record(MmPasidAssigned(process.name, assign.pasid, assign.incarnation))
    out.send(sender, Done(assign.call))


def on_unregister(process: Process, request: UnregisterMmNotifier, sender: Name, out: Out) -> None:
    """Off the list when no callback runs (SRCU)."""
    if process.mm.releasing:
        process.mm.leaving = (sender, request.call)
        return
    process.mm.notifier = False
    mm = process.mm
    out.record(MmNotifierUnregistered(process.name, mm.pasid, mm.incarnation))
    process.notifier_left()
    out.send(sender, Done(request.call))


def notifier_left(_process: Process) -> None:
    """The driver is through with the mm; its PASID stays (N13)."""


def on_page_request_report(
    process: Process, report: PageRequestReport, sender: Name, out: Out
) -> None:
    """handle_mm_fault, for as long as there is an address space to fault pages into."""
    code = ResponseCode.SUCCESS if process.mm.users else ResponseCode.INVALID
    out.send(
        sender,
        PageResponse(
            call=NOBODY,
            vm=report.vm,
            device=report.device,
            pasid=report.pasid,
            incarnation=report.incarnation,
            group=report.group,
            code=code,
        ),
    )
