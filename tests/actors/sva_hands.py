"""An IOMMU core and a driver in a page, scripted: what the SVA core asks is answered at once.

`Hands` also keep the books of the SVA core by its facts (I12): whoever uses them has them checked.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from actors.sva import Sva
from protocol.domains import SVA, Group, domain_name, made_domain
from protocol.effects import CALM, Chance, Out, Send
from protocol.errors import Errno
from protocol.facts import Fact
from protocol.facts.sva import (
    BondFreed,
    BondMade,
    BondUsed,
    HandleAllocated,
    MmHeld,
    MmLetGo,
    SvaDomainLinked,
    SvaDomainUnlinked,
    SvaDomainUsed,
    SvaMisused,
    SvaPresent,
)
from protocol.machine import Device, Machine, Unit
from protocol.messages import AnyMessage, Done, Refused
from protocol.messages.iommu_core import (
    AllocGlobalPasid,
    AllocGlobalPasidGot,
    AttachDevicePasid,
    AttachHandleGet,
    AttachHandleGot,
    DetachDevicePasid,
    FreeGlobalPasid,
)
from protocol.messages.sva import (
    DomainAllocSva,
    DomainAllocSvaGot,
    DomainFree,
    MmPasidDrop,
    SvaBindDevice,
    SvaBindDeviceGot,
    SvaGetPasid,
    SvaGetPasidGot,
    SvaUnbindDevice,
)
from protocol.names import IOMMU, IOMMU_CORE, KERNEL, Name

MACHINE: Final = Machine(
    units=(Unit("smmu0"), Unit("smmu1")),
    devices=(
        Device("d1", "smmu0", pasids=32),
        Device("d2", "smmu0", pasids=32),
        Device("small", "smmu0", pasids=2),
        Device("plain", "smmu0", pasids=0),
        Device("other", "smmu1", pasids=32),
        Device("bare", "", pasids=32),
        Device("twin1", "smmu0", pasids=32),
        Device("twin2", "smmu0", pasids=32),
    ),
    vms=(),
    groups=(Group("twins", ("twin1", "twin2")),),
)
M: Final = "proc1"
N: Final = "proc2"


@dataclass
class Hands:
    """`slots` by group and PASID: domain and handle; `answers` are given instead, by request."""

    sva: Sva = field(default_factory=lambda: Sva.of(MACHINE, "sva"))
    slots: dict[tuple[Name, int], tuple[Name, Name]] = field(default_factory=dict)
    out: dict[int, None] = field(default_factory=dict)
    domains: dict[Name, None] = field(default_factory=dict)
    answers: dict[type, list[AnyMessage]] = field(default_factory=dict)
    chance: Chance = CALM
    asked: list[AnyMessage] = field(default_factory=list)
    pending: list[Send] = field(default_factory=list)
    said: dict[int, AnyMessage] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    calls: int = 0
    made: int = 0

    # --- What a caller does -----------------------------------------------------------------------

    def bind(self, device: Name, mm: Name = M) -> AnyMessage:
        return self.run(SvaBindDevice(self.next_call(), device, mm))

    def bound(self, device: Name, mm: Name = M) -> Name:
        """The handle of a bind that must succeed."""
        got = self.bind(device, mm)
        assert isinstance(got, SvaBindDeviceGot), got
        return got.handle

    def refused(self, device: Name, mm: Name = M) -> Errno:
        """The errno of a bind that must not."""
        got = self.bind(device, mm)
        assert isinstance(got, Refused), got
        return got.errno

    def unbind(self, handle: Name) -> AnyMessage:
        return self.run(SvaUnbindDevice(self.next_call(), handle))

    def pasid(self, handle: Name) -> int:
        got = self.run(SvaGetPasid(self.next_call(), handle))
        assert isinstance(got, SvaGetPasidGot)
        return got.pasid

    def drop(self, mm: Name = M) -> int:
        """The process has dropped its mm; the call, because the answer may take its time."""
        call = self.next_call()
        self.send(MmPasidDrop(call, mm))
        self.settle()
        return call

    def next_call(self) -> int:
        self.calls += 1
        return self.calls

    def run(self, request: AnyMessage) -> AnyMessage:
        """To the end, and its answer."""
        self.send(request)
        self.settle()
        return self.said[request.call]  # type: ignore[union-attr]

    def send(self, request: AnyMessage, sender: Name = KERNEL) -> None:
        """Only hand it over; what it asks is pending."""
        out = Out("sva", self.chance)
        self.sva.handle(request, sender, out)  # type: ignore[arg-type]
        self.facts += out.facts
        for effect in out.effects:
            assert isinstance(effect, Send)
            if effect.to == KERNEL:
                self.said[effect.message.call] = effect.message  # type: ignore[union-attr]
            else:
                self.asked.append(effect.message)
                self.pending.append(effect)

    def settle(self) -> None:
        """Answer whatever is asked, in the order of asking."""
        while self.pending:
            self.answer_next()

    def answer_next(self) -> None:
        asked = self.pending.pop(0)
        given = self.answers.get(type(asked.message))
        answer = given.pop(0) if given else self.answer(asked.message)
        if isinstance(answer, Refused):
            answer = Refused(asked.message.call, answer.errno)  # type: ignore[union-attr]
        self.send(answer, asked.to)

    # --- The core and the driver ------------------------------------------------------------------

    def answer(self, message: AnyMessage) -> AnyMessage:
        """As a core does in which nothing else happens, and a driver that can do all."""
        match message:
            case AllocGlobalPasid(call=call, device=device):
                limit = MACHINE.device(device).pasids
                free = [one for one in range(1, limit) if one not in self.out]
                if not free:
                    return Refused(call, Errno.ENOSPC)
                self.out[free[0]] = None
                return AllocGlobalPasidGot(call, free[0], 100 + self.next_call())
            case FreeGlobalPasid(call=call, pasid=pasid):
                assert not [slot for slot in self.slots if slot[1] == pasid], "still attached (I04)"
                del self.out[pasid]
                return Done(call)
            case AttachHandleGet(call=call, group=group, pasid=pasid, kind=kind):
                domain, handle = self.slots.get((group, pasid), ("", ""))
                if not handle:
                    return Refused(call, Errno.ENOENT)
                if made_domain(domain).kind != kind:
                    return Refused(call, Errno.EBUSY)
                return AttachHandleGot(call, handle)
            case AttachDevicePasid():
                return self.attach(message)
            case DetachDevicePasid(call=call, device=device, pasid=pasid, domain=domain):
                assert self.slots.pop((self.sva.groups[device], pasid))[0] == domain
                return Done(call)
            case DomainAllocSva(call=call, device=device, mm=mm):
                self.made += 1
                unit = MACHINE.device(device).unit
                name = domain_name(SVA, unit, f"{mm}.{self.made}")
                self.domains[name] = None
                return DomainAllocSvaGot(call, name)
            case DomainFree(call=call, domain=domain):
                assert domain not in [one for one, _ in self.slots.values()], "still attached"
                del self.domains[domain]
                return Done(call)
        raise AssertionError(message)

    def attach(self, attach: AttachDevicePasid) -> AnyMessage:
        """EINVAL another IOMMU's domain, EBUSY a slot that is taken."""
        slot = (self.sva.groups[attach.device], attach.pasid)
        if made_domain(attach.domain).unit != MACHINE.device(attach.device).unit:
            return Refused(attach.call, Errno.EINVAL)
        if slot in self.slots:
            return Refused(attach.call, Errno.EBUSY)
        self.slots[slot] = (attach.domain, attach.handle)
        return Done(attach.call)

    # --- The books --------------------------------------------------------------------------------

    def misuses(self) -> list[str]:
        return [fact.what for fact in self.facts if isinstance(fact, SvaMisused)]

    def asked_of(self, kind: type) -> list[AnyMessage]:
        return [message for message in self.asked if isinstance(message, kind)]

    def check_books(self) -> None:
        """What the facts say is what the state says, and the slots are those of the bonds."""
        bonds = books(self.facts)
        state = self.sva
        assert bonds.users == Counter({name: bond.users for name, bond in state.bonds.items()})
        users = Counter(bond.domain for bond in state.bonds.values())
        linked = {one.name: one.users for mm in state.mms.values() for one in mm.domains}
        assert linked == dict(users) == {name: n for name, n in bonds.domains.items() if n}
        assert {*linked} == {*self.domains} == {*bonds.held}
        assert state.present == bonds.present == bool(linked)
        assert {handle for _, handle in self.slots.values() if ":" in handle} == {*state.bonds}
        assert not state.tasks
        assert state.holder is None


@dataclass
class Books:
    """By the facts alone."""

    users: Counter[str] = field(default_factory=Counter)
    domains: Counter[str] = field(default_factory=Counter)
    held: dict[str, str] = field(default_factory=dict)
    present: bool = False


def books(facts: Iterable[Fact]) -> Books:
    """Handles that were allocated are bonds or freed; domains are linked while they have users."""
    kept, allocated, linked = Books(), dict[str, None](), dict[str, None]()
    for fact in facts:
        match fact:
            case HandleAllocated():
                allocated[fact.handle] = None
            case BondMade():
                assert fact.handle in allocated
                kept.users[fact.handle] = 1
            case BondUsed():
                kept.users[fact.handle] = fact.users
            case BondFreed():
                del allocated[fact.handle]
                assert not kept.users.pop(fact.handle, 0)
            case SvaDomainLinked():
                linked[fact.domain] = None
            case SvaDomainUsed():
                assert fact.domain in linked
                kept.domains[fact.domain] = fact.users
            case SvaDomainUnlinked():
                del linked[fact.domain]
                assert not kept.domains[fact.domain]
            case MmHeld():
                kept.held[fact.domain] = fact.mm
            case MmLetGo():
                assert kept.held.pop(fact.domain) == fact.mm
            case SvaPresent():
                assert kept.present != fact.on
                kept.present = fact.on
    assert {*allocated} == {*kept.users}, "a handle has leaked"
    return kept


__all__ = ["IOMMU", "IOMMU_CORE", "MACHINE", "Hands", "M", "N"]
