"""The page-request ring of a unit, and what the hardware answers by itself (§5.3).

PPR is set by a request that reaches the ring and cleared by the PRQ thread before it reads.  While
the ring holds a request that no reader has seen, PPR is set or the interrupt is on its way.

Kernel: prq_event_thread in drivers/iommu/intel/svm.c; VT-d specification 7.4 to 7.11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.effects import Out
from protocol.facts import RequestAutoAnswered, RequestRinged, RequestTaken
from protocol.messages import (
    AdvancePrq,
    Done,
    PageGroupResponse,
    PageRequest,
    PageRequestInterrupt,
    RaisePageRequest,
    ReadPrq,
    ReadPrqGot,
    ResponseCode,
)
from protocol.names import IOMMU, Name

if TYPE_CHECKING:
    from actors.iommu_unit import IommuUnit

DROPPED: Final = -1
"""Recorded in place of a code for a request that wants no answer and gets none."""


def receive(unit: IommuUnit, request: RaisePageRequest, device: Name, out: Out) -> None:
    """The entry is looked at first, then the room in the ring."""
    if unit.look_up((device, request.pasid), out) is None:
        auto_answer(unit, request, device, ResponseCode.INVALID, out)
        return

    if unit.overflow or len(unit.ring) >= unit.ring_size:
        unit.overflow = True
        auto_answer(unit, request, device, ResponseCode.SUCCESS, out)
        return

    unit.ring.append(
        PageRequest(
            device,
            request.pasid,
            request.incarnation,
            request.group,
            request.page,
            last=request.last,
        )
    )
    out.record(RequestRinged(unit.name, device, request.pasid, request.incarnation, request.group))
    interrupt(unit, out)


def auto_answer(
    unit: IommuUnit, request: RaisePageRequest, device: Name, code: ResponseCode, out: Out
) -> None:
    """Software never sees the request; only the last of a group is answered."""
    out.record(
        RequestAutoAnswered(
            unit=unit.name,
            device=device,
            pasid=request.pasid,
            incarnation=request.incarnation,
            code=int(code) if request.last else DROPPED,
        )
    )
    if request.last:
        out.send(
            device,
            PageGroupResponse(
                device,
                request.pasid,
                request.incarnation,
                request.group,
                code,
                mapped=False,  # Nobody has touched the guest's table.
            ),
        )


def interrupt(unit: IommuUnit, out: Out) -> None:
    """One interrupt until the PRQ thread has cleared PPR again."""
    if unit.ppr:
        return
    unit.ppr = True
    out.send(IOMMU, PageRequestInterrupt())


def read(unit: IommuUnit, read: ReadPrq, sender: Name, out: Out) -> None:
    """The thread clears PPR before it reads: what comes later interrupts again."""
    if read.thread:
        unit.ppr = False
    out.send(sender, ReadPrqGot(read.call, tuple(unit.ring), unit.overflow))


def advance(unit: IommuUnit, advance: AdvancePrq, sender: Name, out: Out) -> None:
    """Head moves; an overflow ends only with an empty ring (S34e), and what is left interrupts."""
    assert 0 <= advance.count <= len(unit.ring), "head may not pass tail"
    taken = unit.ring[: advance.count]
    del unit.ring[: advance.count]
    for request in taken:
        out.record(
            RequestTaken(
                unit.name, request.device, request.pasid, request.incarnation, request.group
            )
        )

    out.send(sender, Done(advance.call))
    if unit.ring:
        interrupt(unit, out)
    else:
        unit.overflow = False
