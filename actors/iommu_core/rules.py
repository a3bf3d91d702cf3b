"""Who is refused, and why: the checks of attach, replace and the calls of a group, in their order.

Kernel: drivers/iommu/iommu.c of 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_core.state import Dev, GroupState, OfGroup, Slot, SlotState
from protocol.domains import ANY_KIND, BLOCKING, DEFAULT, NO_PASID, NULL
from protocol.errors import Errno
from protocol.messages.iommu_core import (
    AttachDevicePasid,
    AttachGroupHandle,
    ClaimDmaOwner,
    DetachGroupHandle,
    ReplaceDevicePasid,
    ReplaceGroupHandle,
)
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommu_core import IommuCore


def unlocked_refusal(
    core: IommuCore, device: Dev | None, request: AttachDevicePasid | ReplaceDevicePasid
) -> Errno | None:
    """What needs no lock: the group, the domain's ability, its maker, the number.  §8.2.

    What could not be taken away again is not attached.
    """
    if device is None or not device.group:
        return Errno.ENODEV
    if not core.can_set(request.domain):
        return Errno.EOPNOTSUPP
    if isinstance(request, AttachDevicePasid) and not core.can_remove(device.unit):
        return Errno.EOPNOTSUPP
    if not core.fits(request.domain, device.unit) or request.pasid == NO_PASID:
        return Errno.EINVAL
    if isinstance(request, ReplaceDevicePasid) and request.handle == NULL:
        return Errno.EINVAL
    return None


def can_set(core: IommuCore, domain: Name) -> bool:
    """Whether the domain has a set_dev_pasid."""
    return core.domain(domain).pasid


def can_remove(core: IommuCore, unit: Name) -> bool:
    """Whether the blocking domain of that IOMMU's driver has a set_dev_pasid."""
    return all(one.pasid or (one.name, one.unit) != (BLOCKING.name, unit) for one in core.domains)


def fits(core: IommuCore, domain: Name, unit: Name) -> bool:
    """Whether the domain is of that IOMMU's driver, or of every driver."""
    return core.domain(domain).unit in (NULL, unit)


def attach_refusal(core: IommuCore, group: GroupState, request: AttachDevicePasid) -> Errno | None:
    """Under the lock, before the slot is looked at."""
    if group.recovering:
        return Errno.EBUSY
    if core.beyond_limit(group, request):
        return Errno.EINVAL
    return None


def beyond_limit(core: IommuCore, group: GroupState, request: AttachDevicePasid) -> bool:
    """A PASID must fit every device that has any: one without is passed over (b3f6fcd8404f)."""
    limits = [one.max_pasids for one in core.asked(group, core.devices[request.device])]
    return any(limit <= request.pasid for limit in limits)


def replace_refusal(
    _core: IommuCore, group: GroupState, _request: ReplaceDevicePasid
) -> Errno | None:
    """Under the lock; the limit was looked at when the slot was taken."""
    if group.recovering:
        return Errno.EBUSY
    return None


def slot_refusal(
    _core: IommuCore, slot: Slot | None, request: AttachDevicePasid | ReplaceDevicePasid
) -> Errno | None:
    """Attach wants an empty slot, not even reserved; replace a taken one and another handle."""
    if isinstance(request, AttachDevicePasid):
        return None if slot is None else Errno.EBUSY
    if slot is None or slot.handle == request.handle:
        return Errno.EINVAL
    return None


def visible(_core: IommuCore, slot: Slot) -> bool:
    """A reader sees a handle only when every device has been programmed (I08)."""
    return slot.state is SlotState.ATTACHED and slot.handle != NULL


def look_up_refusal(core: IommuCore, slot: Slot | None, kind: str) -> Errno | None:
    """ENOENT: nothing that could be routed to.  EBUSY: it is of another kind."""
    if slot is None or not core.visible(slot):
        return Errno.ENOENT
    if kind not in (ANY_KIND, core.domain(core.domain_in(slot)).kind):
        return Errno.EBUSY
    return None


def group_refusal(core: IommuCore, group: GroupState | None, request: OfGroup) -> Errno | None:
    """Of DMA without PASID; detach is never refused."""
    if isinstance(request, DetachGroupHandle):
        return None
    if group is None:
        return Errno.ENODEV
    if request.handle == NULL and core.handle_wanted(request):
        return Errno.EINVAL
    if isinstance(request, AttachGroupHandle):
        if NO_PASID in core.table(group, NULL):
            return Errno.EBUSY
        if group.domain not in (NULL, DEFAULT.name, BLOCKING.name):
            return Errno.EBUSY
    if group.recovering:
        return Errno.EBUSY
    units = [core.devices[name].unit for name in group.devices]
    return None if all(core.fits(request.domain, unit) for unit in units) else Errno.EINVAL


def handle_wanted(_core: IommuCore, _request: AttachGroupHandle | ReplaceGroupHandle) -> bool:
    """A slot of the RID is always a handle's."""
    return True


def claim_refusal(_core: IommuCore, group: GroupState | None, claim: ClaimDmaOwner) -> Errno | None:
    """The same owner may claim again; nobody may what is used with a PASID or by a group (I37)."""
    if claim.owner == NULL:
        return Errno.EINVAL
    if group is None:
        return Errno.ENODEV
    if group.claims:
        return None if group.owner == claim.owner else Errno.EPERM
    if group.domain not in (NULL, DEFAULT.name) or not group.empty:
        return Errno.EBUSY
    return None
