"""The VT-d driver of a modern kernel: domains, and which of them each PASID of a device has (§8).

Kernel: drivers/iommu/intel of Linux 7.3.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final, Self, TypeAlias, assert_never

from protocol.domains import BLOCKED, NESTED, SVA, UNMANAGED, domain_name, made_domain
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.machine import Machine
from protocol.messages import Done, HostLost, Refused, Start
from protocol.messages.address_spaces import RespondPageRequest
from protocol.messages.iommu_core import SetDevPasid
from protocol.messages.iommufd import AllocDomain, AllocNestedDomain, DomainGot, FreeDomain
from protocol.messages.sva import DomainAllocSva, DomainAllocSvaGot, DomainFree
from protocol.names import Name, Pasid

Inbox: TypeAlias = (
    Start
    | HostLost
    | SetDevPasid
    | DomainAllocSva
    | DomainFree
    | AllocDomain
    | AllocNestedDomain
    | FreeDomain
    | RespondPageRequest
)
NOMEM_DOMAIN: Final = Site("intel_iommu.domain_alloc", Errno.ENOMEM)
SET_DEV_PASID: Final = Site("intel_iommu.set_dev_pasid", Errno.ENOMEM)


@dataclass(slots=True)
class IntelIommu:
    """`units` by device; `attached` is what each PASID of a device has."""

    SITES: ClassVar[tuple[Site, ...]] = (NOMEM_DOMAIN, SET_DEV_PASID)
    LOSABLE: ClassVar[bool] = False

    units: dict[Name, Name]
    domains: list[Name] = field(default_factory=list)
    attached: dict[tuple[Name, Pasid], Name] = field(default_factory=dict)

    @classmethod
    def of(cls, machine: Machine, _name: Name) -> Self:
        """Nothing is attached."""
        return cls({device.name: device.unit for device in machine.devices})

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """The driver's table of contents."""
        match message:
            case Start() | HostLost() | RespondPageRequest():
                pass
            case SetDevPasid():
                self.on_set_dev_pasid(message, sender, out)
            case DomainAllocSva():
                domain = self.made(SVA, message.device, message.mm, out)
                if domain is None:
                    out.send(sender, Refused(message.call, Errno.ENOMEM))
                else:
                    out.send(sender, DomainAllocSvaGot(message.call, domain))
            case AllocDomain() | AllocNestedDomain():
                kind = NESTED if isinstance(message, AllocNestedDomain) else UNMANAGED
                domain = self.made(kind, message.device, sender, out, faults=message.faults)
                if domain is None:
                    out.send(sender, Refused(message.call, Errno.ENOMEM))
                else:
                    out.send(sender, DomainGot(message.call, domain))
            case DomainFree() | FreeDomain():
                self.domains.remove(message.domain)
                out.send(sender, Done(message.call))
            case _:
                assert_never(message)

    def made(
        self, kind: str, device: Name, maker: str, out: Out, *, faults: bool = False
    ) -> Name | None:
        """A new domain, with a name that none has."""
        if out.may_fail(NOMEM_DOMAIN) is not None:
            return None
        number, unit = 1, self.units[device]
        while (name := domain_name(kind, unit, f"{maker}.{number}", faults=faults)) in self.domains:
            number += 1
        self.domains.append(name)
        return name

    def on_set_dev_pasid(self, request: SetDevPasid, sender: Name, out: Out) -> None:
        """The domain in place of the old one; the blocking domain takes the PASID away."""
        away = made_domain(request.domain).kind == BLOCKED
        errno = None if away else out.may_fail(SET_DEV_PASID)
        if errno is not None:
            out.send(sender, Refused(request.call, errno))
            return
        if away:
            self.attached.pop((request.device, request.pasid), None)
        else:
            self.attached[request.device, request.pasid] = request.domain
        out.send(sender, Done(request.call))
