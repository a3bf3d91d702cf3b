"""A VT-d driver to test, and hands that answer its calls as core, units and VFIO would."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.inbox import Inbox
from protocol.effects import CALM, Chance, SetTimer
from protocol.errors import Errno
from protocol.facts import Fact
from protocol.machine import Device, Machine, Unit, Vm
from protocol.messages import (
    AdvancePrq,
    AllocPasid,
    AllocPasidGot,
    AllocSet,
    AllocSetGot,
    AnyMessage,
    AssignPasid,
    AttachData,
    AttachDomain,
    AttachSpid,
    BindGpasid,
    ClearPresent,
    DetachData,
    DetachSpid,
    Done,
    DrainRequests,
    DrainRequestsGot,
    FindPasid,
    FindPasidGot,
    FlushFaults,
    GetPasid,
    InvalidateDevTlb,
    InvalidateIotlb,
    InvalidatePasidCache,
    LoadMsr,
    NotifyFree,
    PageRequest,
    PageRequestInterrupt,
    PinMm,
    PinMmGot,
    PutPasid,
    PutPasidGot,
    ReadPrq,
    ReadPrqGot,
    Refused,
    RegisterMmNotifier,
    RunWork,
    Start,
    TimerFired,
    UnbindGpasid,
    UnpinMm,
    UnregisterMmNotifier,
    WriteEntry,
    ZeroEntry,
)
from protocol.names import CORE, IOMMU, SUPERVISOR, VFIO, WORKQUEUE, Name
from tests.helpers import step

MACHINE = Machine(
    units=(Unit("dmar0"), Unit("dmar1")),
    devices=(
        Device("dsa0", "dmar0"),
        Device("dsa1", "dmar1"),
        Device("dsa2", "dmar0", pri=False),
        Device("old", "dmar0", pasids=1 << 16),
    ),
    vms=(Vm("vm1", (("dsa0", "dsa1", "dsa2", "old"),)), Vm("vm2", (("dsa0",),))),
)
P = 5
LIFE = 50
"""The PASID of most tests, and the ghost of its life."""

Call = (
    FindPasid
    | GetPasid
    | AttachData
    | AttachSpid
    | DetachSpid
    | DetachData
    | PutPasid
    | WriteEntry
    | ClearPresent
    | InvalidatePasidCache
    | InvalidateIotlb
    | InvalidateDevTlb
    | ZeroEntry
    | ReadPrq
    | AdvancePrq
    | DrainRequests
    | FlushFaults
    | AllocSet
    | AllocPasid
    | PinMm
    | UnpinMm
    | AssignPasid
    | RegisterMmNotifier
    | UnregisterMmNotifier
    | LoadMsr
)
T = TypeVar("T")


def bind_of(device: Name = "dsa0", pasid: int = P, vm: Name = "vm1", call: int = 7) -> BindGpasid:
    """VFIO's request; the guest's number is 100 more, its table 1000 more."""
    return BindGpasid(call, vm, device, pasid, pasid * 10, pasid + 100, pasid + 1000)


def unbind_of(
    device: Name = "dsa0", pasid: int = P, vm: Name = "vm1", call: int = 8
) -> UnbindGpasid:
    """VFIO's request."""
    return UnbindGpasid(call, vm, device, pasid, pasid * 10)


def request_of(device: Name = "dsa0", group: int = 1, pasid: int = P) -> PageRequest:
    """One page request of a group of one."""
    return PageRequest(device, pasid, pasid * 10, group, 9)


def free_of(pasid: int = P, call: int = 3) -> NotifyFree:
    """The core's notification."""
    return NotifyFree(call, pasid, pasid * 10)


def run_of(pasid: int = P) -> RunWork:
    """The workqueue's turn."""
    return RunWork(f"teardown:{pasid}", pasid, pasid * 10)


@dataclass
class Hands:
    """`sent` and `facts` since the last `forget`; `open` has the calls nobody has answered yet."""

    driver: IommuDriver
    sent: list[tuple[Name, AnyMessage]] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    open: list[tuple[Name, Call]] = field(default_factory=list)
    rings: dict[Name, list[PageRequest]] = field(default_factory=dict)
    data: dict[int, int] = field(default_factory=dict)
    timers: list[str] = field(default_factory=list)
    mm_pasid: int = 0
    chance: Chance = CALM

    def give(self, message: Inbox, sender: Name = VFIO) -> None:
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

    def state(self) -> bytes:
        """All that the driver remembers."""
        return msgspec.msgpack.encode(self.driver)

    def forget(self) -> None:
        """From here on only what is new counts."""
        self.sent.clear()
        self.facts.clear()

    def reply_to(self, to: Name, call: Call) -> Inbox:
        """What a core, a unit or VFIO that has nothing against it says."""
        match call:
            case FindPasid():
                return FindPasidGot(call.call, self.data.get(call.pasid, 0))
            case AllocSet():
                return AllocSetGot(call.call, 9)
            case AllocPasid():
                return AllocPasidGot(call.call, P, LIFE)
            case PinMm():
                return PinMmGot(call.call, self.mm_pasid, self.mm_pasid * 10)
            case AssignPasid():
                self.mm_pasid = call.pasid
            case AttachData():
                self.data[call.pasid] = call.data
            case DetachData():
                self.data.pop(call.pasid, None)
            case PutPasid():
                return PutPasidGot(call.call, reclaimed=False)
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

    def calls(self) -> list[str]:
        """The names of the messages sent, in order."""
        return [type(message).__name__ for _, message in self.sent]

    def said(self, kind: type[T]) -> list[T]:
        """The facts of one kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def got(self, asker: Name = VFIO) -> list[Done | Refused]:
        """The answers that the asker has had."""
        return [m for to, m in self.sent if to == asker and isinstance(m, Done | Refused)]

    def ring(self, *requests: PageRequest, unit: Name = "dmar0") -> None:
        """Page requests reach the ring, and the unit interrupts."""
        self.rings.setdefault(unit, []).extend(requests)
        self.give(PageRequestInterrupt(), unit)

    def free(self, pasid: int = P) -> None:
        """FREE, and the turn of the work it queues."""
        self.give(free_of(pasid), CORE)
        self.give(run_of(pasid), WORKQUEUE)


def fresh(chance: Chance = CALM) -> Hands:
    """Registered; the domains of both VMs are attached: dsa0 1 and 5, dsa1 2, dsa2 3, old 4."""
    hands = Hands(IommuDriver.of(MACHINE, IOMMU))
    hands.give(Start(), SUPERVISOR)
    hands.give(Done(1), CORE)
    for vm in MACHINE.vms:
        for device in vm.devices:
            hands.give(AttachDomain(1, vm.name, device))
    hands.chance = chance
    hands.forget()
    return hands


def bound(*devices: Name, pasid: int = P, then: Callable[[Hands], None] | None = None) -> Hands:
    """The PASID is bound to these devices for vm1."""
    hands = fresh()
    for device in devices or ("dsa0",):
        hands.give(bind_of(device, pasid))
        hands.settle()
    if then is not None:
        then(hands)
    hands.forget()
    return hands
