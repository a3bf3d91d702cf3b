"""The VT-d driver of a modern kernel: domains, and which of them each PASID of a device has (§8).

Kernel: drivers/iommu/intel of Linux 7.3.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final, Self, TypeAlias, assert_never

from protocol.domains import BLOCKED, NESTED, SVA, UNMANAGED, domain_name, made_domain
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.machine import Machine
from protocol.messages import AnyMessage, Done, HostLost, Refused, Start
from protocol.messages.address_spaces import (
    HandleMmFault,
    InvalidateSecondaryTlbs,
    PutMmuNotifier,
    RegisterMmuNotifier,
    ReleaseMm,
)
from protocol.messages.driver import ResponseCode
from protocol.messages.hardware import (
    AdvancePrq,
    ClearPresent,
    InvalidateDevTlb,
    InvalidateIotlb,
    InvalidatePasidCache,
    PageGroupResponse,
    PageRequest,
    PageRequestInterrupt,
    ReadPrq,
    ReadPrqGot,
    WriteEntry,
    ZeroEntry,
)
from protocol.messages.iommu_core import SetDevPasid
from protocol.messages.iommufd import AllocDomain, AllocNestedDomain, DomainGot, FreeDomain
from protocol.messages.sva import DomainAllocSva, DomainAllocSvaGot, DomainFree
from protocol.names import Name, Pasid, process_of

Inbox: TypeAlias = (
    Start
    | HostLost
    | SetDevPasid
    | DomainAllocSva
    | DomainFree
    | AllocDomain
    | AllocNestedDomain
    | FreeDomain
    | InvalidateSecondaryTlbs
    | ReleaseMm
    | Done
    | Refused
    | PageRequestInterrupt
    | ReadPrqGot
)
NOMEM_DOMAIN: Final = Site("intel_iommu.domain_alloc", Errno.ENOMEM)
SET_DEV_PASID: Final = Site("intel_iommu.set_dev_pasid", Errno.ENOMEM)
NOBODY: Final = 0


@dataclass(slots=True)
class IntelIommu:
    """`units` by device; `attached` is what each PASID of a device has."""

    SITES: ClassVar[tuple[Site, ...]] = (NOMEM_DOMAIN, SET_DEV_PASID)
    LOSABLE: ClassVar[bool] = False

    units: dict[Name, Name]
    domains: list[Name] = field(default_factory=list)
    attached: dict[tuple[Name, Pasid], Name] = field(default_factory=dict)
    processes: tuple[Name, ...] = ()
    mms: dict[Name, Name] = field(default_factory=dict)
    waiting: dict[int, tuple[Name, AnyMessage, Name]] = field(default_factory=dict)
    faults: dict[int, PageRequest] = field(default_factory=dict)

    @classmethod
    def of(cls, machine: Machine, _name: Name) -> Self:
        """Nothing is attached."""
        units = {device.name: device.unit for device in machine.devices}
        return cls(units, processes=machine.processes)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """The driver's table of contents."""
        match message:
            case Start() | HostLost():
                pass
            case SetDevPasid():
                self.on_set_dev_pasid(message, sender, out)
            case DomainAllocSva():
                self.on_domain_alloc_sva(message, sender, out)
            case InvalidateSecondaryTlbs() | ReleaseMm():
                self.flush(message, sender, out)
            case Done() | Refused():
                self.on_answer(message, sender, out)
            case PageRequestInterrupt():
                out.send(sender, ReadPrq(NOBODY, thread=True))
            case ReadPrqGot():
                self.on_read_prq_got(message, sender, out)
            case AllocDomain() | AllocNestedDomain():
                kind = NESTED if isinstance(message, AllocNestedDomain) else UNMANAGED
                domain = self.made(kind, message.device, sender, out)
                if domain is None:
                    out.send(sender, Refused(message.call, Errno.ENOMEM))
                else:
                    out.send(sender, DomainGot(message.call, domain))
            case DomainFree() | FreeDomain():
                self.domains.remove(message.domain)
                mm = self.mms.pop(message.domain, None)
                if mm is not None:
                    out.send(process_of(mm), PutMmuNotifier(NOBODY, mm, message.domain))
                out.send(sender, Done(message.call))
            case _:
                assert_never(message)

    def on_domain_alloc_sva(self, request: DomainAllocSva, sender: Name, out: Out) -> None:
        """The mm tells the driver what it does."""
        domain = self.made(SVA, request.device, request.mm, out)
        if domain is None:
            out.send(sender, Refused(request.call, Errno.ENOMEM))
            return
        got = DomainAllocSvaGot(request.call, domain)
        whom = process_of(request.mm)
        if whom in self.processes:
            self.mms[domain] = request.mm
            register = RegisterMmuNotifier(self.asks(sender, got, domain), request.mm, domain)
            out.send(whom, register)
        else:
            out.send(sender, got)

    def made(self, kind: str, device: Name, maker: str, out: Out) -> Name | None:
        """A new domain, with a name that none has."""
        if out.may_fail(NOMEM_DOMAIN) is not None:
            return None
        number = 1
        while (name := domain_name(kind, self.units[device], f"{maker}.{number}")) in self.domains:
            number += 1
        self.domains.append(name)
        return name

    def asks(self, sender: Name, answer: AnyMessage, domain: Name) -> int:
        """A number for a call; when it is answered, so is the sender."""
        number = next(n for n in range(1, len(self.waiting) + 2) if n not in self.waiting)
        self.waiting[number] = (sender, answer, domain)
        return number

    def on_answer(self, answer: Done | Refused, sender: Name, out: Out) -> None:
        """Of a call, of the last of several, or of a fault."""
        if answer.call in self.waiting:
            whom, got, domain = self.waiting.pop(answer.call)
            if isinstance(answer, Refused) and isinstance(got, DomainAllocSvaGot):
                self.domains.remove(domain)
                del self.mms[domain]
                got = Refused(got.call, answer.errno)
            out.send(whom, got)
        elif answer.call in self.faults:
            request = self.faults.pop(answer.call)
            there = isinstance(answer, Done)
            self.respond(request, there=there, out=out)

    def on_set_dev_pasid(self, request: SetDevPasid, sender: Name, out: Out) -> None:
        """The domain in place of the old one; the blocking domain takes the PASID away."""
        away = made_domain(request.domain).kind == BLOCKED
        errno = None if away else out.may_fail(SET_DEV_PASID)
        if errno is not None:
            out.send(sender, Refused(request.call, errno))
            return
        tag = (request.device, request.pasid)
        if tag in self.attached or away:
            mm = self.mms.get(self.attached.pop(tag, ""), "")
            self.tear_down(request, mm, sender, Done(request.call) if away else None, out)
        if not away:
            self.attached[tag] = request.domain
            mm = self.mms.get(request.domain, "")
            number = self.asks(sender, Done(request.call), request.domain)
            entry = WriteEntry(number, *tag, request.incarnation, mm, 0, 0)
            out.send(self.units[request.device], entry)

    def tear_down(
        self, request: SetDevPasid, mm: Name, sender: Name, answer: Done | None, out: Out
    ) -> None:
        """In order."""
        unit = self.units[request.device]
        tag = (request.device, request.pasid, request.incarnation)
        out.send(unit, ClearPresent(NOBODY, *tag, mm, "unbind"))
        out.send(unit, InvalidatePasidCache(NOBODY, *tag, 0))
        out.send(unit, InvalidateIotlb(NOBODY, *tag, 0))
        number = NOBODY if answer is None else self.asks(sender, answer, "")
        out.send(unit, InvalidateDevTlb(number, *tag))
        out.send(unit, ZeroEntry(NOBODY, *tag))

    def flush(self, request: InvalidateSecondaryTlbs | ReleaseMm, sender: Name, out: Out) -> None:
        """Everywhere the domain is."""
        at = [tag for tag, domain in self.attached.items() if domain == request.domain]
        if not at:
            out.send(sender, Done(request.call))
        for device, pasid in at:
            unit, last = self.units[device], (device, pasid) == at[-1]
            if isinstance(request, ReleaseMm):
                mm = self.mms[request.domain]
                out.send(unit, ClearPresent(NOBODY, device, pasid, 0, mm, "release"))
                out.send(unit, InvalidatePasidCache(NOBODY, device, pasid, 0, 0))
            out.send(unit, InvalidateIotlb(NOBODY, device, pasid, 0, 0))
            number = self.asks(sender, Done(request.call), request.domain) if last else NOBODY
            out.send(unit, InvalidateDevTlb(number, device, pasid, 0))

    def on_read_prq_got(self, got: ReadPrqGot, unit: Name, out: Out) -> None:
        """To the mm, by way of nobody."""
        for request in got.requests:
            mm = self.mms.get(self.attached.get((request.device, request.pasid), ""))
            if mm is None:
                self.respond(request, there=False, out=out)
                continue
            number = next(n for n in range(1 << 20, 1 << 21) if n not in self.faults)
            self.faults[number] = request
            out.send(process_of(mm), HandleMmFault(number, mm, request.page))
        out.send(unit, AdvancePrq(NOBODY, len(got.requests)))

    def respond(self, request: PageRequest, *, there: bool, out: Out) -> None:
        """Mapped or not."""
        code = ResponseCode.SUCCESS if there else ResponseCode.INVALID
        tag = (request.device, request.pasid, request.incarnation, request.group)
        out.send(self.units[request.device], PageGroupResponse(*tag, code, mapped=there))
