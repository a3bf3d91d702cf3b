"""What takes no group's lock: looking up a handle, and the numbers for PASIDs.

Kernel: iommu_attach_handle_get, iommu_alloc_global_pasid, iommu_free_global_pasid of 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_core.state import NUMBER_NOMEM, Dev
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.iommu_core import GlobalPasidAllocated, GlobalPasidFreed, HandleSeen
from protocol.messages import Done, Refused
from protocol.messages.iommu_core import (
    AllocGlobalPasid,
    AllocGlobalPasidGot,
    AttachHandleGet,
    AttachHandleGot,
    FreeGlobalPasid,
)
from protocol.names import PASID_MIN, Name

if TYPE_CHECKING:
    from actors.iommu_core import IommuCore


def on_attach_handle_get(core: IommuCore, get: AttachHandleGet, sender: Name, out: Out) -> None:
    """What a thread is doing in the group is seen as far as it has come."""
    slot = core.table_seen(get.group).get(get.pasid)
    errno = core.look_up_refusal(slot, get.kind)
    if errno is not None or slot is None:
        out.send(sender, Refused(get.call, errno or Errno.ENOENT))
    else:
        out.record(HandleSeen(get.group, get.pasid, slot.handle))
        out.send(sender, AttachHandleGot(get.call, slot.handle, core.domain_in(slot)))


def on_alloc_global_pasid(core: IommuCore, alloc: AllocGlobalPasid, sender: Name, out: Out) -> None:
    """The limit is the device's own, whatever the others of its group can do."""
    device = core.devices.get(alloc.device)
    numbers = range(0) if device is None else core.numbers_for(device)
    free = next((one for one in numbers if one not in core.numbers), None)
    if free is None or out.may_fail(NUMBER_NOMEM) is not None:
        out.send(sender, Refused(alloc.call, Errno.ENOSPC))
        return
    core.incarnations += 1
    core.numbers[free] = core.incarnations
    out.record(GlobalPasidAllocated(alloc.device, free, core.incarnations))
    out.send(sender, AllocGlobalPasidGot(alloc.call, free, core.incarnations))


def numbers_for(_core: IommuCore, device: Dev) -> range:
    """Those that the device can carry, the lowest first; 0 is DMA without PASID (I02)."""
    return range(PASID_MIN, device.max_pasids)


def on_free_global_pasid(core: IommuCore, free: FreeGlobalPasid, sender: Name, out: Out) -> None:
    """One that is not out is only warned of; one that is attached is not noticed."""
    incarnation = core.numbers.pop(free.pasid, None)
    if incarnation is not None:
        out.record(GlobalPasidFreed(free.pasid, incarnation))
    out.send(sender, Done(free.call))
