"""Unbind: the last user ends the bond: detach, then the books, then the domain, then the handle.

Kernel: iommu_sva_unbind_device of Linux 7.3; 06e14c36e20b.  §8 (I12).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.sva.state import Domain, Step, Unbind
from protocol.effects import Out
from protocol.facts.sva import BondFreed, BondUsed, SvaDomainUsed, SvaMisused, SvaUnbound
from protocol.messages.common import Done
from protocol.messages.iommu_core import DetachDevicePasid
from protocol.messages.sva import DomainFree, SvaGetPasid, SvaGetPasidGot, SvaUnbindDevice
from protocol.names import INVALID_PASID, IOMMU, IOMMU_CORE, Name

if TYPE_CHECKING:
    from actors.sva import Sva


def begin_unbind(sva: Sva, unbind: Unbind, out: Out) -> None:
    """One user less.  Nothing notices one too many."""
    handle = unbind.request.handle
    bond = sva.bonds.get(handle)
    if bond is None:
        sva.end(unbind, out)
        sva.misused("unbound a freed handle", unbind.request, unbind.sender, out)
        return
    bond.users -= 1
    out.record(BondUsed(handle, bond.users))
    if bond.users:
        out.record(SvaUnbound(handle))
        sva.end(unbind, out)
        out.send(unbind.sender, Done(unbind.request.call))
        return
    mm = sva.mms[bond.mm]
    unbind.step = Step.DETACH
    detach = DetachDevicePasid(unbind.number, bond.device, mm.pasid, mm.incarnation, bond.domain)
    out.send(IOMMU_CORE, detach)


def go_on_unbinding(sva: Sva, unbind: Unbind, out: Out) -> None:
    """The PASID is off the devices, or the domain is gone."""
    if unbind.step is Step.FREE:
        sva.end_unbind(unbind, out)
        return
    bond = sva.bonds[unbind.request.handle]
    domain = next(one for one in sva.mms[bond.mm].domains if one.name == bond.domain)
    domain.users -= 1
    out.record(SvaDomainUsed(domain.name, domain.users))
    if domain.users:
        sva.end_unbind(unbind, out)
        return
    unbind.step = Step.FREE
    sva.unlink_and_free(unbind, bond.mm, domain, out)


def unlink_and_free(sva: Sva, unbind: Unbind, mm: Name, domain: Domain, out: Out) -> None:
    """The books first: with the domain the mm may go, and all that is known of it."""
    sva.unlink(mm, domain, out)
    sva.let_go(mm, domain.name, out)
    out.send(IOMMU, DomainFree(unbind.number, domain.name))


def end_unbind(sva: Sva, unbind: Unbind, out: Out) -> None:
    """The handle goes after the lock."""
    handle = unbind.request.handle
    sva.end(unbind, out)
    del sva.bonds[handle]
    out.record(BondFreed(handle))
    out.record(SvaUnbound(handle))
    out.send(unbind.sender, Done(unbind.request.call))


def misused(
    _sva: Sva, what: str, request: SvaGetPasid | SvaUnbindDevice, sender: Name, out: Out
) -> None:
    """Memory that is somebody else's by now: nothing tells the caller."""
    out.record(SvaMisused(what, request.handle))
    if isinstance(request, SvaGetPasid):
        out.send(sender, SvaGetPasidGot(request.call, INVALID_PASID))
    else:
        out.send(sender, Done(request.call))
