"""An IOASID core to test: how it gets where a test begins, and what it sends and states."""

from typing import TypeVar

from actors.ioasid_core import Inbox, IoasidCore
from actors.ioasid_core.state import Life, life_of
from protocol.effects import CALM, Chance, Out, Send
from protocol.facts import Event
from protocol.machine import Machine
from protocol.messages import (
    AllocPasid,
    AllocSet,
    AnyMessage,
    AttachSpid,
    Done,
    FreePasid,
    GetPasid,
    Notification,
    NotifyReply,
    Priority,
    PutPasid,
    RegisterNotifier,
    RegisterNotifierMm,
    SetKind,
    Verdict,
)
from protocol.names import CORE, IOMMU, NO_SET, PASID_COUNT, VFIO, Call, Name
from tests.helpers import step

KVM = "vm1.kvm"
VDCM = "vdcm.dsa0"
MACHINE = Machine(units=(), devices=(), vms=(), pasids=8, quota=4)
ANY = (1, PASID_COUNT - 1)

E = TypeVar("E", bound=Event)
Sent = list[tuple[Name, AnyMessage]]


def hand(core: IoasidCore, message: Inbox, sender: Name = VFIO, chance: Chance = CALM) -> Out:
    """One message; what it does is in the answer."""
    return step(core, message, sender, chance, name=CORE)


def pairs(out: Out) -> Sent:
    """The messages that left, as (to, message)."""
    return [(effect.to, effect.message) for effect in out.effects if isinstance(effect, Send)]


def facts(out: Out, kind: type[E]) -> list[E]:
    """The facts of one kind."""
    return [fact for fact in out.facts if isinstance(fact, kind)]


def empty() -> IoasidCore:
    """A pool of 8, and nothing else."""
    return IoasidCore.of(MACHINE, CORE)


def with_set(quota: int = 4) -> IoasidCore:
    """Set 1 of vm1."""
    core = empty()
    hand(core, AllocSet(1, "vm1", quota))
    return core


def with_pasid() -> IoasidCore:
    """PASID 1 of vm1, IDLE."""
    core = with_set()
    hand(core, AllocPasid(1, 1, *ANY))
    return core


def held(*reasons: str) -> IoasidCore:
    """PASID 1 of vm1, ACTIVE: the driver holds a reference for each reason."""
    core = with_pasid()
    for reason in reasons or ("svm",):
        get(core, reason)
    return core


def pending(*reasons: str) -> IoasidCore:
    """PASID 1 of vm1, FREE_PENDING for the same."""
    core = held(*reasons)
    hand(core, FreePasid(1, 1, 1, 1))
    return core


def heard(
    subscribers: tuple[Name, ...] = (KVM, VDCM), *, more: tuple[Name, ...] = (), data: bool = False
) -> IoasidCore:
    """Set 1 of vm1 with these on its chain, PASID 1 ACTIVE, nothing under way; `more` VDCMs."""
    core = empty()
    if IOMMU in subscribers:
        hand(core, RegisterNotifier(1, NO_SET, Priority.IOMMU), IOMMU)
    for name in (KVM, VDCM):
        if name in subscribers:
            priority = Priority.CPU if name == KVM else Priority.DEVICE
            hand(core, RegisterNotifierMm(1, "vm1", priority), name)
    for name in more:
        hand(core, RegisterNotifierMm(1, "vm1", Priority.DEVICE), name)
    hand(core, AllocSet(1, "vm1", 4))
    replies(core, hand(core, AllocPasid(1, 1, *ANY)))
    get(core, "svm")
    if data:
        life(core, 1).data = 77
    return core


def get(core: IoasidCore, reason: str, sender: Name = IOMMU) -> Out:
    """A reference on PASID 1."""
    return hand(core, GetPasid(9, NO_SET, 1, 1, reason), sender)


def put(core: IoasidCore, reason: str, sender: Name = IOMMU) -> Out:
    """It goes back."""
    return hand(core, PutPasid(9, 1, 1, reason), sender)


def free(core: IoasidCore, call: Call = 5) -> Out:
    """PASID 1 is freed by its owner."""
    return hand(core, FreePasid(call, 1, 1, 1))


def attach(core: IoasidCore, spid: int = 33, call: Call = 6) -> Out:
    """The driver attaches an SPID to PASID 1."""
    return hand(core, AttachSpid(call, 1, 1, spid), IOMMU)


def called(out: Out) -> list[tuple[Name, Notification]]:
    """The notifications that left, and to whom."""
    return [(to, message) for to, message in pairs(out) if isinstance(message, Notification)]


def names(out: Out) -> list[tuple[Name, str]]:
    """The same, by name of the notification only."""
    return [(to, type(message).__name__) for to, message in called(out)]


def reply(core: IoasidCore, out: Out, verdict: Verdict = Verdict.OK) -> Out:
    """Whoever was called in `out` replies."""
    ((to, notification),) = called(out)
    return hand(core, NotifyReply(notification.call, verdict), to)


def replies(core: IoasidCore, out: Out) -> list[Out]:
    """Everybody replies OK, one after the other, until nobody is called any more."""
    outs = [out]
    while called(outs[-1]):
        outs.append(reply(core, outs[-1]))
    return outs


def life(core: IoasidCore, pasid: int = 1) -> Life:
    """The life of a PASID that is not FREE."""
    return life_of(core, pasid)


def is_at_rest(core: IoasidCore) -> bool:
    """Nobody is being told of anything."""
    return not any(core.chains) and core.calls == []


def null_set(core: IoasidCore, quota: int = 1) -> Out:
    """A set without an mm."""
    return hand(core, AllocSet(1, "", quota, SetKind.NULL))


def register(core: IoasidCore, name: Name, priority: Priority, number: int = NO_SET) -> None:
    """On the global chain, or a set's."""
    assert pairs(hand(core, RegisterNotifier(1, number, priority), name)) == [(name, Done(1))]
