"""Bind: the mm's PASID, the bond that is there, else the mm's domains, else a new one.

A domain of the mm that cannot be attached, for whatever reason, only makes bind try the next.  A
bind that fails leaves the mm its PASID.

Kernel: iommu_sva_bind_device of Linux 7.3; 3e7f57d1ef3f, 530f8f9c3546.  §8 (I11, I13, I41).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.sva.state import (
    NO_PASID,
    NOMEM_HANDLE,
    NOMEM_MM,
    Bind,
    Bond,
    Got,
    Mm,
    Step,
)
from protocol.domains import SVA
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.sva import (
    BondMade,
    BondUsed,
    HandleAllocated,
    SvaBindAnswered,
    SvaDomainUsed,
    SvaMisused,
)
from protocol.messages.common import Done, Refused
from protocol.messages.iommu_core import (
    AllocGlobalPasid,
    AllocGlobalPasidGot,
    AttachDevicePasid,
    AttachHandleGet,
    AttachHandleGot,
)
from protocol.messages.sva import DomainAllocSva, DomainAllocSvaGot, DomainFree, SvaBindDeviceGot
from protocol.names import IOMMU, IOMMU_CORE, Name

if TYPE_CHECKING:
    from actors.sva import Sva


def begin_bind(sva: Sva, bind: Bind, out: Out) -> None:
    """First the PASID: the mm has one that the device can carry, or gets one."""
    request = bind.request
    mm = sva.mms.setdefault(request.mm, Mm())
    errno = sva.mm_refusal(mm, bind, out)
    if errno is not None:
        sva.fail(bind, errno, out)
    elif mm.pasid != NO_PASID:
        _look_up(sva, bind, out)
    else:
        bind.step = Step.PASID
        out.send(IOMMU_CORE, AllocGlobalPasid(bind.number, request.device))


def mm_refusal(sva: Sva, mm: Mm, bind: Bind, out: Out) -> Errno | None:
    """EBUSY tagged pointers, EOVERFLOW the PASID that it has, ENOMEM.

    A caller has to hold the mm (mm_users); the kernel stumbles later over one that has gone.
    """
    if mm.dropping is not None:
        out.record(SvaMisused("bound an mm that has gone", bind.request.mm))
        return Errno.EINVAL
    if mm.lam and not mm.forced:
        return Errno.EBUSY
    if mm.pasid != NO_PASID:
        return Errno.EOVERFLOW if mm.pasid >= sva.limits[bind.request.device] else None
    return out.may_fail(NOMEM_MM)


def go_on_binding(sva: Sva, bind: Bind, answer: Done | Refused | Got, out: Out) -> None:
    """By what was asked last."""
    match bind.step, answer:
        case Step.PASID, AllocGlobalPasidGot():
            sva.give_pasid(bind.request.mm, answer, out)
            _look_up(sva, bind, out)
        case Step.PASID, _:
            sva.fail(bind, Errno.ENOSPC, out)
        case Step.LOOK_UP, AttachHandleGot():
            if sva.may_share(sva.bonds.get(answer.handle), bind):
                sva.share(bind, answer.handle, out)
            else:
                sva.fail(bind, Errno.EBUSY, out)
        case Step.LOOK_UP, Refused(errno=Errno.ENOENT):
            _allocate(sva, bind, out)
        case Step.ATTACH, Done():
            domain = sva.mms[bind.request.mm].domains[bind.tried]
            domain.users += 1
            out.record(SvaDomainUsed(domain.name, domain.users))
            sva.make_bond(bind, domain.name, out)
        case Step.ATTACH, _:
            bind.tried += 1
            _next_domain(sva, bind, out)
        case Step.DOMAIN, DomainAllocSvaGot():
            sva.hold(bind.request.mm, answer.domain, out)
            bind.step, bind.domain = Step.ATTACH_NEW, answer.domain
            _attach(sva, bind, answer.domain, out)
        case Step.ATTACH_NEW, Done():
            sva.link(bind.request.mm, bind.domain, out)
            sva.make_bond(bind, bind.domain, out)
        case Step.ATTACH_NEW, Refused():
            bind.step, bind.errno = Step.UNDO, answer.errno
            sva.let_go(bind.request.mm, bind.domain, out)
            out.send(IOMMU, DomainFree(bind.number, bind.domain))
        case Step.UNDO, _:
            sva.fail(bind, bind.errno, out)
        case _, Refused():
            sva.fail(bind, answer.errno, out)
        case _:
            raise AssertionError(f"{answer} is no answer to {bind.step.value}")


def _look_up(sva: Sva, bind: Bind, out: Out) -> None:
    """The bond of the pair is where page requests are routed to."""
    bind.step = Step.LOOK_UP
    mm, group = sva.mms[bind.request.mm], sva.groups[bind.request.device]
    out.send(IOMMU_CORE, AttachHandleGet(bind.number, group, mm.pasid, SVA))


def may_share(_sva: Sva, bond: Bond | None, bind: Bind) -> bool:
    """Whether the handle that was found is a bond of the same mm."""
    return bond is not None and bond.mm == bind.request.mm


def share(sva: Sva, bind: Bind, handle: Name, out: Out) -> None:
    """One user more."""
    bond = sva.bonds[handle]
    bond.users += 1
    out.record(BondUsed(handle, bond.users))
    out.record(SvaBindAnswered(bind.request.device, bind.request.mm, handle, ""))
    sva.end(bind, out)
    out.send(bind.sender, SvaBindDeviceGot(bind.request.call, handle))


def _allocate(sva: Sva, bind: Bind, out: Out) -> None:
    """Memory for the bond, before anything is attached to it."""
    errno = out.may_fail(NOMEM_HANDLE)
    if errno is not None:
        sva.fail(bind, errno, out)
        return
    bind.handle = sva.handle_for(bind)
    out.record(HandleAllocated(bind.handle))
    _next_domain(sva, bind, out)


def handle_for(sva: Sva, bind: Bind) -> Name:
    """A group and an mm have one bond at a time, so it is called after them."""
    return f"{sva.groups[bind.request.device]}:{bind.request.mm}"


def _next_domain(sva: Sva, bind: Bind, out: Out) -> None:
    """A domain of the mm that has not been tried, or a new one."""
    domains = sva.mms[bind.request.mm].domains
    if bind.tried < len(domains):
        bind.step = Step.ATTACH
        _attach(sva, bind, domains[bind.tried].name, out)
    else:
        bind.step = Step.DOMAIN
        out.send(IOMMU, DomainAllocSva(bind.number, bind.request.device, bind.request.mm))


def _attach(sva: Sva, bind: Bind, domain: Name, out: Out) -> None:
    mm, device = sva.mms[bind.request.mm], bind.request.device
    attach = AttachDevicePasid(bind.number, device, mm.pasid, mm.incarnation, domain, bind.handle)
    out.send(IOMMU_CORE, attach)


def make_bond(sva: Sva, bind: Bind, domain: Name, out: Out) -> None:
    """With one user and its device, before anybody else can find it."""
    request, handle = bind.request, bind.handle
    mm, group = sva.mms[request.mm], sva.groups[request.device]
    sva.bonds[handle] = Bond(group, request.device, request.mm, domain)
    out.record(
        BondMade(handle, group, request.device, request.mm, domain, mm.pasid, mm.incarnation)
    )
    out.record(SvaBindAnswered(request.device, request.mm, handle, ""))
    sva.end(bind, out)
    out.send(bind.sender, SvaBindDeviceGot(request.call, handle))
