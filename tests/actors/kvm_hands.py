"""A KVM to test: its machine, its messages, and what it sends and states upon one."""

import msgspec

from actors.kvm import Inbox, Kvm
from protocol.effects import CALM, Chance, Out, Send
from protocol.facts import (
    Event,
)
from protocol.machine import Device, Machine, Unit, Vm
from protocol.messages import (
    AnyMessage,
    Done,
    EnqcmdWrite,
    GetPasid,
    GuestEnqcmd,
    NotifyBind,
    NotifyFree,
    NotifyReply,
    NotifyUnbind,
    OpenVm,
    PutPasid,
    PutPasidGot,
    Start,
    Verdict,
)
from protocol.names import CORE, INVALID_PASID, SUPERVISOR, Name
from tests.helpers import step

GUEST = "vm1.guest"
NAME = "vm1.kvm"
MACHINE = Machine(
    units=(Unit("dmar0"),),
    devices=(Device("dsa0", "dmar0"), Device("dsa1", "dmar0"), Device("dsa2", "dmar0")),
    vms=(Vm("vm1", (("dsa0", "dsa1"),)), Vm("vm2", (("dsa2",),))),
)

Sent = list[tuple[Name, AnyMessage]]


def bind_of(pasid: int, spid: int, call: int = 1) -> NotifyBind:
    """BIND in set 3; the ghost of PASID p is 10 * p."""
    return NotifyBind(call, pasid, 10 * pasid, spid, 3, "vm1")


def unbind_of(pasid: int, spid: int, call: int = 1) -> NotifyUnbind:
    return NotifyUnbind(call, pasid, 10 * pasid, spid, 3, "vm1")


def free_of(pasid: int, call: int = 1) -> NotifyFree:
    return NotifyFree(call, pasid, 10 * pasid, INVALID_PASID, 3, "vm1")


def enqcmd(gpasid: int, tag: int = 0, device: Name = "dsa0") -> GuestEnqcmd:
    """The guest's call is its tag."""
    return GuestEnqcmd(tag, device, gpasid, tag, 5, mapped=True)


def write_of(call: int, pasid: int, tag: int = 0) -> EnqcmdWrite:
    return EnqcmdWrite(call, "vm1", pasid, 10 * pasid, tag, 5, mapped=True)


GET = GetPasid(1, 3, 7, 70, "translation")
PUT = PutPasid(1, 7, 70, "translation")
RECLAIMED = PutPasidGot(1, reclaimed=True)
OK = (CORE, NotifyReply(1, Verdict.OK))
DONE = (CORE, NotifyReply(1, Verdict.DONE))
BAD = (CORE, NotifyReply(1, Verdict.BAD))


def take(kvm: Kvm, message: Inbox, sender: Name = CORE, chance: Chance = CALM) -> Out:
    """One input; whatever the state is then, it survives being stored."""
    out = step(kvm, message, sender, chance, NAME)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(kvm), type=Kvm) == kvm
    return out


def hand(kvm: Kvm, message: Inbox, sender: Name = CORE, chance: Chance = CALM) -> Sent:
    """What KVM sends upon it."""
    effects = take(kvm, message, sender, chance).effects
    return [(effect.to, effect.message) for effect in effects if isinstance(effect, Send)]


def facts(kvm: Kvm, message: Inbox, sender: Name = CORE) -> list[Event]:
    """What KVM states upon it."""
    return list(take(kvm, message, sender).facts)


def fresh() -> Kvm:
    return Kvm.of(MACHINE, NAME)


def opened(**table: int) -> Kvm:
    """A VM with a vCPU and a table, as `g4=7`: gPASID 4 stands for PASID 7."""
    kvm = fresh()
    hand(kvm, Start(), SUPERVISOR)
    hand(kvm, OpenVm(9), GUEST)
    hand(kvm, Done(1))
    for gpasid, pasid in table.items():
        hand(kvm, bind_of(pasid, int(gpasid[1:])))
        assert hand(kvm, Done(1)) == [OK]
    return kvm
