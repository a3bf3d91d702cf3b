"""The one answer to a group, and the end of its memory.

Kernel: iopf_group_response, iopf_free_group, iopf_error_response of Linux 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iopf.state import GROUP, Request
from protocol.effects import Out
from protocol.facts import MemoryFreed
from protocol.facts.iopf import (
    FaultAnswered,
    FaultGroupFreed,
    FaultGroupUnlisted,
    FaultParamUsed,
)
from protocol.messages import ResponseCode
from protocol.messages.address_spaces import RespondPageRequest
from protocol.names import IOMMU

if TYPE_CHECKING:
    from actors.iopf import Iopf


def answer_group(iopf: Iopf, number: int, code: ResponseCode, out: Out) -> None:
    """The last request stands for all; it is pending no more, wherever it was."""
    iopf.unlist(number, out)
    iopf.answer_request(iopf.groups[number].last, code, out)


def answer_request(_iopf: Iopf, request: Request, code: ResponseCode, out: Out) -> None:
    """Every answer leaves here, for the driver to give to the device."""
    where = (request.device, request.pasid, request.incarnation, request.group)
    out.record(FaultAnswered(*where, int(code)))
    if not request.mock:
        out.send(IOMMU, RespondPageRequest(*where, code, mapped=code is ResponseCode.SUCCESS))


def unlist(iopf: Iopf, number: int, out: Out) -> None:
    """Off the list of its device, if it is there."""
    faults = iopf.params[iopf.groups[number].param].faults
    if number in faults:
        faults.remove(number)
        out.record(FaultGroupUnlisted(number))


def free_group(iopf: Iopf, number: int, out: Out) -> None:
    """And the fault_param has a user less."""
    group = iopf.groups.pop(number)
    out.record(FaultGroupFreed(number))
    out.record(MemoryFreed(GROUP, str(number)))
    iopf.put_param(group.param, out)


def put_param(iopf: Iopf, number: int, out: Out) -> None:
    """The last user frees it."""
    param = iopf.params[number]
    param.users -= 1
    out.record(FaultParamUsed(number, param.users))
    if not param.users:
        del iopf.params[number]
