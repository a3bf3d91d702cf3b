"""Descriptors of a device, from acceptance to the completion record (§5.2, §5.4, §5.6).

A descriptor is a task: its number names its translation requests.  It ends only when nothing that
it has asked the unit for can still become an access; a page group may be owed longer.

Kernel: drivers/dma/idxd submits and drains them; the rest is PCIe ATS and PRI.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from actors.device.state import Descriptor, Group, Line, Work
from protocol.effects import Out
from protocol.facts import (
    CacheFilled,
    DescriptorAccepted,
    DescriptorEnded,
    DmaBlocked,
    DmaTranslated,
    PageRequested,
    PageSettled,
)
from protocol.messages import (
    DescriptorDone,
    PageGroupResponse,
    RaisePageRequest,
    ResponseCode,
    Status,
    Translate,
    Translated,
    Translation,
    UntranslatedDma,
)

if TYPE_CHECKING:
    from actors.device import Device

GROUPS: Final = 1 << 9
"""A page group index has 9 bits."""


def name_of(work: Work) -> str:
    """Unique while it is in the device: a guest does not reuse a tag that is in flight."""
    return f"{work.vm}:{work.tag}"


def accept(device: Device, work: Work, out: Out) -> None:
    """It is in the device from now on, whatever becomes of its PASID."""
    assert all(name_of(one.work) != name_of(work) for one in device.descriptors.values())
    number = next(one for one in count(1) if one not in device.descriptors)
    device.descriptors[number] = Descriptor(work)
    out.record(
        DescriptorAccepted(device.name, work.vm, name_of(work), work.pasid, work.incarnation)
    )
    access(device, number, out)


def access(device: Device, number: int, out: Out) -> None:
    """Through a device-TLB line at once; else the unit is asked."""
    work = device.descriptors[number].work
    line = device.tlb.get(work.pasid, {}).get(work.page)
    if line is not None:
        record_dma(device, work, line, "device-tlb", out)
        end(device, number, Status.SUCCESS, out)
        return

    ask = Translate if device.ats else UntranslatedDma
    out.send(device.unit, ask(number, work.pasid, work.incarnation, work.page, mapped=work.mapped))


def translated(device: Device, answer: Translated, out: Out) -> None:
    """The unit has translated, or made the access itself, or refused both."""
    descriptor = device.descriptors[answer.call]
    if answer.outcome is Translation.OK:
        line = Line(answer.incarnation, answer.vm, answer.table)
        if device.ats:
            fill(device, descriptor.work, line, out)
        if not (device.ats and descriptor.aborted):  # An untranslated access has been made already.
            record_dma(device, descriptor.work, line, "iommu", out)

    if descriptor.aborted:
        end(device, answer.call, Status.ABORT, out)
    elif answer.outcome is Translation.OK:
        end(device, answer.call, Status.SUCCESS, out)
    elif answer.outcome is Translation.NONE and device.may_request_page():
        request_page(device, answer.call, out)
    else:
        block(device, answer.call, answer.outcome, out)


def fill(device: Device, work: Work, line: Line, out: Out) -> None:
    """The line of a page stays until it is invalidated; the first of a PASID is stated."""
    if work.pasid not in device.tlb:
        out.record(CacheFilled("device-tlb", device.name, work.pasid, line.incarnation))
    device.tlb.setdefault(work.pasid, {})[work.page] = line


def request_page(device: Device, number: int, out: Out) -> None:
    """Posted; the descriptor waits for the group's answer."""
    descriptor = device.descriptors[number]
    work = descriptor.work
    group = next(one for one in range(GROUPS) if one not in device.groups)
    device.groups[group] = Group(work.pasid, work.incarnation, number)
    descriptor.group = group
    out.record(PageRequested(device.name, work.pasid, work.incarnation, group))
    out.send(device.unit, RaisePageRequest(work.pasid, work.incarnation, group, work.page))


def page_answered(device: Device, response: PageGroupResponse, out: Out) -> None:
    """SUCCESS only means: try again."""
    group = device.groups.get(response.group)
    if group is None or group.pasid != response.pasid:
        return  # Unexpected: nothing is owed under this index and PASID, so it is discarded.

    del device.groups[response.group]
    out.record(
        PageSettled(device.name, group.pasid, group.incarnation, response.group, int(response.code))
    )
    if group.number is None:
        return  # Its descriptor was aborted long ago.

    descriptor = device.descriptors[group.number]
    descriptor.group = None
    if response.code is ResponseCode.SUCCESS:
        if response.mapped:
            descriptor.work = replace(descriptor.work, mapped=True)
        access(device, group.number, out)
    else:
        end(device, group.number, Status.FAULT, out)


def block(device: Device, number: int, outcome: Translation, out: Out) -> None:
    """Nobody can be asked for the page."""
    work = device.descriptors[number].work
    out.record(DmaBlocked(device.name, work.vm, work.pasid, work.incarnation, outcome.value))
    end(device, number, Status.FAULT, out)


def abort(device: Device, number: int, out: Out) -> None:
    """One that waits for a page ends now and leaves the group owed; a translation is awaited."""
    descriptor = device.descriptors[number]
    if descriptor.group is None:
        descriptor.aborted = True
        return

    device.groups[descriptor.group] = replace(device.groups[descriptor.group], number=None)
    end(device, number, Status.ABORT, out)


def end(device: Device, number: int, status: Status, out: Out) -> None:
    """It leaves the device: completion record first, then whoever waited for it to leave."""
    work = device.descriptors.pop(number).work
    out.record(
        DescriptorEnded(
            device=device.name,
            vm=work.vm,
            descriptor=name_of(work),
            pasid=work.pasid,
            incarnation=work.incarnation,
            status=status.value,
        )
    )
    out.send(device.user_of(work.vm), DescriptorDone(device.name, work.tag, status))
    device.answer_commands(out)


def record_dma(device: Device, work: Work, line: Line, through: str, out: Out) -> None:
    """The witness: whose work it was, and whose tables translated it."""
    out.record(
        DmaTranslated(
            device=device.name,
            vm=work.vm,
            pasid=work.pasid,
            incarnation=work.incarnation,
            page=work.page,
            through=through,
            table_vm=line.vm,
            table_incarnation=line.incarnation,
        )
    )
