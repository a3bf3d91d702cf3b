"""Attach and replace: reserve, program the devices one after the other, then let it be seen.

If a device refuses, exactly those that had succeeded are set back; the one that refused is not
touched, since a driver that refuses has changed nothing (b025dea63cde).

Kernel: iommu_attach_device_pasid, iommu_replace_device_pasid, __iommu_set_group_pasid of 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_core.state import (
    SLOT_NOMEM,
    Attaching,
    Dev,
    DriverCall,
    GroupState,
    Slot,
    SlotState,
    Task,
)
from protocol.domains import BLOCKING, NULL
from protocol.effects import Out
from protocol.facts.iommu_core import (
    DevPasidRolledBack,
    SlotAttached,
    SlotKept,
    SlotReleased,
    SlotReserved,
)
from protocol.messages import Done, Refused
from protocol.messages.iommu_core import AttachDevicePasid, ReplaceDevicePasid
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommu_core import IommuCore


def begin_attach(
    core: IommuCore, group: GroupState, attach: AttachDevicePasid, sender: Name, out: Out
) -> None:
    """With the lock: refuse, or reserve the slot and program the devices."""
    errno = core.attach_refusal(group, attach)
    if errno is None:
        core.write_handle(attach)
        table = core.table(group, attach.device)
        errno = core.slot_refusal(table.get(attach.pasid), attach) or out.may_fail(SLOT_NOMEM)
    if errno is not None:
        core.forget_handle(attach.handle)
        out.send(sender, Refused(attach.call, errno))
        return
    core.reserve(group, attach, out)
    core.program(group, attach, sender, out)


def begin_replace(
    core: IommuCore, group: GroupState, replace: ReplaceDevicePasid, sender: Name, out: Out
) -> None:
    """With the lock: nothing is asked of the driver for the domain that is there already."""
    errno = core.replace_refusal(group, replace)
    if errno is None:
        core.write_handle(replace)
        slot = core.table(group, replace.device).get(replace.pasid)
        nomem = out.may_fail(SLOT_NOMEM) if slot is None else None
        errno = nomem or core.slot_refusal(slot, replace)
    if errno is not None:
        core.forget_handle(replace.handle)
        out.send(sender, Refused(replace.call, errno))
        return
    core.program(group, replace, sender, out)


def reserve(core: IommuCore, group: GroupState, attach: AttachDevicePasid, out: Out) -> None:
    """From here on nobody else gets the slot, and nobody sees a handle in it."""
    slot = Slot(SlotState.RESERVED, attach.incarnation, attach.domain, attach.handle)
    core.table(group, attach.device)[attach.pasid] = slot
    owner = core.owner_of_slots(group, attach.device)
    out.record(SlotReserved(owner, attach.pasid, attach.incarnation))


def program(core: IommuCore, group: GroupState, request: Attaching, sender: Name, out: Out) -> None:
    """The devices that have PASIDs, in their order; none of them, if it is there already."""
    old = core.old_domain(group, request)
    calls = [
        DriverCall(one.name, request.pasid, request.incarnation, request.domain, old)
        for one in core.asked(group, core.devices[request.device])
        if request.domain != old
    ]
    core.start(group, Task(request, sender, calls), out)


def old_domain(core: IommuCore, group: GroupState, request: Attaching) -> Name:
    """What the driver is told that is there: what the core believes."""
    slot = core.table(group, request.device)[request.pasid]
    return NULL if slot.state is SlotState.RESERVED else core.domain_in(slot)


def asked(core: IommuCore, group: GroupState, _device: Dev) -> list[Dev]:
    """Whom a PASID of a device concerns: all of its group, but those that have none."""
    group_ = [core.devices[name] for name in group.devices]
    return [one for one in group_ if one.max_pasids > 0]


def undo(core: IommuCore, task: Task) -> list[DriverCall]:
    """Those that had succeeded go back to what was there, or to the blocking domain."""
    return [core.back(call) for call in task.made]


def back(_core: IommuCore, call: DriverCall) -> DriverCall:
    """One device back."""
    to = call.old or BLOCKING.name
    return DriverCall(
        call.device, call.pasid, call.incarnation, to, call.domain, away=call.old == NULL
    )


def end_attaching(core: IommuCore, group: GroupState, task: Task, out: Out) -> None:
    """All devices have it, or none; then the answer."""
    request = task.request
    assert isinstance(request, Attaching), "the only ones that attach"
    if task.errno is None:
        core.install(group, request, out)
        out.send(task.sender, Done(request.call))
        return
    for call in task.made:
        out.record(DevPasidRolledBack(call.device, call.pasid, call.incarnation, call.domain))
    owner, table = core.owner_of_slots(group, request.device), core.table(group, request.device)
    if isinstance(request, AttachDevicePasid):
        del table[request.pasid]
        out.record(SlotReleased(owner, request.pasid, request.incarnation, "failed"))
    else:
        slot = table[request.pasid]
        domain = core.domain_in(slot)
        out.record(SlotKept(owner, request.pasid, slot.incarnation, domain, slot.handle))
    core.forget_handle(request.handle)
    out.send(task.sender, Refused(request.call, task.errno))


def install(core: IommuCore, group: GroupState, request: Attaching, out: Out) -> None:
    """The handle is seen from now on; another one that was there is not any more."""
    table = core.table(group, request.device)
    before, old = table[request.pasid], core.old_domain(group, request)
    slot = Slot(SlotState.ATTACHED, request.incarnation, request.domain, request.handle)
    table[request.pasid] = slot
    core.forget_handle(before.handle)
    owner = core.owner_of_slots(group, request.device)
    out.record(
        SlotAttached(owner, request.pasid, request.incarnation, request.domain, request.handle, old)
    )


# --- Handles --------------------------------------------------------------------------------------


def write_handle(core: IommuCore, request: Attaching) -> None:
    """The new domain is in the caller's handle before the slot is looked at, so also if refused."""
    if request.handle != NULL:
        core.handles[request.handle] = request.domain


def forget_handle(core: IommuCore, handle: Name) -> None:
    """What a handle says matters while it is in a slot."""
    if handle in core.handles and not core.in_place(handle):
        del core.handles[handle]


def in_place(core: IommuCore, handle: Name) -> bool:
    """Whether a slot has the handle, or a thread is about to put it there."""
    for group in core.groups.values():
        request = None if group.task is None else group.task.request
        if isinstance(request, Attaching) and request.handle == handle:
            return True
        for table in group.tables.values():
            if any(slot.handle == handle for slot in table.values()):
                return True
    return False


def domain_in(core: IommuCore, slot: Slot) -> Name:
    """The domain of a slot is what its handle says."""
    return core.handles[slot.handle] if slot.handle != NULL else slot.domain
