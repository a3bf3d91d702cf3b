"""What is a whole group's: DMA without PASID, and its owner.

Kernel: iommu_attach_group_handle, iommu_device_claim_dma_owner of 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_core.state import (
    CLAIM_NOMEM,
    SLOT_NOMEM,
    GroupState,
    OfGroup,
    Slot,
    SlotState,
)
from protocol.domains import BLOCKING, DEFAULT, NO_PASID, NULL
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.iommu_core import (
    DetachAsked,
    DmaOwnerChanged,
    GroupDomainSet,
    SlotAttached,
    SlotReleased,
)
from protocol.messages import Done, Refused
from protocol.messages.iommu_core import (
    ClaimDmaOwner,
    DetachGroupHandle,
    ReleaseDmaOwner,
)
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommu_core import IommuCore


def on_group_request(
    core: IommuCore, group: GroupState | None, request: OfGroup, sender: Name, out: Out
) -> None:
    """The handle of DMA without PASID; the driver's part of it is not modelled."""
    errno = core.group_refusal(group, request)
    taken = group is not None and NO_PASID in core.table(group, NULL)
    if errno is None and not taken and not isinstance(request, DetachGroupHandle):
        errno = out.may_fail(SLOT_NOMEM)
    if errno is not None:
        out.send(sender, Refused(request.call, errno))
        return
    if group is not None:
        table = core.table(group, NULL)
        before = table.pop(NO_PASID, None)
        old = NULL if before is None else core.domain_in(before)
        if isinstance(request, DetachGroupHandle):
            out.record(DetachAsked(group.name, NO_PASID, request.domain))
            if before is not None:
                out.record(SlotReleased(group.name, NO_PASID, before.incarnation, "detach"))
            core.set_rid(group, core.own_domain(group), out)
        else:
            slot = Slot(SlotState.ATTACHED, 0, request.domain, request.handle)
            table[NO_PASID] = slot
            if request.handle != NULL:
                core.handles[request.handle] = request.domain
            core.set_rid(group, request.domain, out)
            out.record(SlotAttached(group.name, NO_PASID, 0, slot.domain, slot.handle, old))
        if before is not None:
            core.forget_handle(before.handle)
    out.send(sender, Done(request.call))


def own_domain(_core: IommuCore, group: GroupState) -> Name:
    """What a group goes back to: blocked while somebody owns it by name."""
    return BLOCKING.name if group.owner != NULL else DEFAULT.name


def set_rid(_core: IommuCore, group: GroupState, domain: Name, out: Out) -> None:
    """DMA without PASID."""
    if group.domain != domain:
        group.domain = domain
        out.record(GroupDomainSet(group.name, domain))


def on_claim(
    core: IommuCore, group: GroupState | None, claim: ClaimDmaOwner, sender: Name, out: Out
) -> None:
    """While a group is owned its DMA without PASID is blocked until the owner attaches."""
    errno = core.claim_refusal(group, claim)
    if errno is None and group is not None and not group.claims:
        errno = out.may_fail(CLAIM_NOMEM)
    if errno is not None or group is None:
        out.send(sender, Refused(claim.call, errno or Errno.ENODEV))
        return
    group.claims += 1
    if group.claims == 1:
        group.owner = claim.owner
        core.set_rid(group, BLOCKING.name, out)
    out.record(DmaOwnerChanged(group.name, group.owner, group.claims))
    out.send(sender, Done(claim.call))


def on_release(
    core: IommuCore, group: GroupState | None, release: ReleaseDmaOwner, sender: Name, out: Out
) -> None:
    """With something attached the last release does nothing: the group stays owned."""
    if group is not None and core.may_release(group):
        group.claims -= 1
        if group.claims == 0:
            group.owner = NULL
            core.set_rid(group, DEFAULT.name, out)
        out.record(DmaOwnerChanged(group.name, group.owner, group.claims))
    out.send(sender, Done(release.call))


def may_release(_core: IommuCore, group: GroupState) -> bool:
    """Any but the last, or nothing is attached (I37)."""
    return group.claims > 1 or (group.claims == 1 and group.empty)
