"""A VT-d driver of a modern kernel to test, and hands that answer for units, fault core and mms."""

from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from actors.intel_iommu import Inbox, IntelIommu
from protocol.domains import BLOCKING, Domain
from protocol.effects import CALM, Chance, SetTimer
from protocol.errors import Errno
from protocol.facts import Fact
from protocol.machine import Device, Machine, Unit
from protocol.messages import (
    AdvancePrq,
    AnyMessage,
    ClearPresent,
    Done,
    DrainRequests,
    DrainRequestsGot,
    InvalidateDevTlb,
    InvalidatePasidCache,
    PageRequest,
    PageRequestInterrupt,
    ReadPrq,
    ReadPrqGot,
    Refused,
    TimerFired,
    ZeroEntry,
)
from protocol.messages.address_spaces import (
    AddIopfDevice,
    FlushIopfDevice,
    PutMmuNotifier,
    RegisterMmuNotifier,
    RemoveIopfDevice,
    ReportPageRequest,
)
from protocol.messages.iommu_core import SetDevPasid
from protocol.messages.pasid_table import (
    InvalidateDomainIotlb,
    InvalidatePiotlb,
    SetUpEntry,
    ZeroAllButFpd,
)
from protocol.messages.sva import DomainAllocSva
from protocol.names import IOMMU, IOMMU_CORE, SUPERVISOR, SVA_CORE, Name
from tests.helpers import step

MACHINE = Machine(
    units=(Unit("dmar0"), Unit("dmar1")),
    devices=(
        Device("d1", "dmar0", pasids=64),
        Device("d2", "dmar0", pasids=64),
        Device("d3", "dmar1", pasids=64),
        Device("plain", "dmar0", pasids=64, pri=False),
        Device("old", "dmar0", pasids=64, ats=False, pri=False),
        Device("none", "dmar0", pasids=0),
    ),
    vms=(),
    processes=("proc1", "proc2"),
    domains=(Domain("paging"), Domain("other"), Domain("nested", "NESTED")),
    stack="iommufd",
)
P = 5
LIFE = 50
"""The PASID of most tests, and the ghost of its life."""

Call = (
    SetUpEntry
    | ClearPresent
    | InvalidatePasidCache
    | InvalidatePiotlb
    | InvalidateDomainIotlb
    | InvalidateDevTlb
    | ZeroEntry
    | ZeroAllButFpd
    | ReadPrq
    | AdvancePrq
    | DrainRequests
    | AddIopfDevice
    | RemoveIopfDevice
    | FlushIopfDevice
    | ReportPageRequest
    | RegisterMmuNotifier
    | PutMmuNotifier
)
T = TypeVar("T")


def set_of(
    domain: Name, device: Name = "d1", old: Name = "", pasid: int = P, call: int = 1
) -> SetDevPasid:
    """The core's call."""
    return SetDevPasid(call, device, pasid, pasid * 10, domain, old)


def detach_of(old: Name, device: Name = "d1", pasid: int = P, call: int = 1) -> SetDevPasid:
    """The core's call."""
    return set_of(BLOCKING.name, device, old, pasid, call)


def request_of(device: Name = "d1", group: int = 1, *, last: bool = True) -> PageRequest:
    """One page request."""
    return PageRequest(device, P, LIFE, group, 9, last)


@dataclass
class Hands:
    """`sent` and `facts` since the last `forget`; `open` has the calls nobody has answered yet."""

    driver: IntelIommu
    sent: list[tuple[Name, AnyMessage]] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    open: list[tuple[Name, Call]] = field(default_factory=list)
    rings: dict[Name, list[PageRequest]] = field(default_factory=dict)
    timers: list[str] = field(default_factory=list)
    chance: Chance = CALM

    def give(self, message: Inbox, sender: Name = IOMMU_CORE) -> None:
        """One input; what it leads to is kept.  The state survives a crash at every step."""
        out = step(self.driver, message, sender, self.chance, IOMMU)
        self.facts += out.facts
        for effect in out.effects:
            if isinstance(effect, SetTimer):
                self.timers.append(effect.timer)
                continue
            self.sent.append((effect.to, effect.message))
            if isinstance(effect.message, Call):
                self.open.append((effect.to, effect.message))
        copy = msgspec.msgpack.decode(msgspec.msgpack.encode(self.driver), type=type(self.driver))
        assert copy == self.driver
        self.driver = copy

    def books(self) -> tuple[bytes, ...]:
        """All that the driver keeps of attachments."""
        driver = self.driver
        kept = (driver.domains, driver.table, driver.iopf, driver.locks)
        return tuple(msgspec.msgpack.encode(one) for one in kept)

    def forget(self) -> None:
        """From here on only what is new counts."""
        self.sent.clear()
        self.facts.clear()

    def reply_to(self, to: Name, call: Call) -> Inbox:
        """What somebody who has nothing against it says."""
        match call:
            case ReadPrq():
                return ReadPrqGot(call.call, tuple(self.rings.get(to, [])), overflow=False)
            case AdvancePrq():
                self.rings[to] = self.rings.get(to, [])[call.count :]
            case DrainRequests():
                return DrainRequestsGot(call.call, overflow=False)
            case _:
                pass
        return Done(call.call)

    def answer(self, kind: type[T], reply: Inbox | Errno | None = None) -> None:
        """Answer the open call of this kind: a refusal, something special, or as usual."""
        to, call = next((to, call) for to, call in self.open if isinstance(call, kind))
        self.open.remove((to, call))
        if isinstance(reply, Errno):
            reply = Refused(call.call, reply)
        self.give(reply or self.reply_to(to, call), to)

    def settle(self, *held: type) -> None:
        """Answer all that is open, oldest first, but for the kinds held; then run PRQ threads."""
        while True:
            ready = [call for _, call in self.open if not isinstance(call, held)]
            if ready:
                self.answer(type(ready[0]))
            elif self.timers and TimerFired not in held:
                self.run_thread()
            else:
                return

    def run_thread(self) -> None:
        """The oldest timer fires."""
        self.give(TimerFired(self.timers.pop(0)), SUPERVISOR)

    def calls(self, *but: type) -> list[str]:
        """The names of the messages sent, in order."""
        return [type(message).__name__ for _, message in self.sent if not isinstance(message, but)]

    def said(self, kind: type[T]) -> list[T]:
        """The facts of one kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def got(self, asker: Name = IOMMU_CORE) -> list[Done | Refused]:
        """The answers that the asker has had."""
        return [m for to, m in self.sent if to == asker and isinstance(m, Done | Refused)]

    def ring(self, *requests: PageRequest, unit: Name = "dmar0") -> None:
        """Page requests reach the ring, and the unit interrupts."""
        self.rings.setdefault(unit, []).extend(requests)
        self.give(PageRequestInterrupt(), unit)

    def sva(self, mm: Name = "proc1", device: Name = "d1") -> Name:
        """A new domain of an mm."""
        self.give(DomainAllocSva(9, device, mm), SVA_CORE)
        self.settle()
        return list(self.driver.domains)[-1]

    def attach(self, domain: Name, device: Name = "d1", old: Name = "", pasid: int = P) -> None:
        """All of it."""
        self.give(set_of(domain, device, old, pasid))
        self.settle()


def fresh(chance: Chance = CALM) -> Hands:
    """Nothing is attached."""
    return Hands(IntelIommu.of(MACHINE, IOMMU), chance=chance)


def attached(domain: Name = "", *devices: Name) -> tuple[Hands, Name]:
    """The PASID has the domain, or one of proc1, on these devices."""
    hands = fresh()
    name = domain or hands.sva()
    for device in devices or ("d1",):
        hands.attach(name, device)
    hands.forget()
    return hands, name
