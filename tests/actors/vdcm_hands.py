"""A VDCM to test: its machine, its messages, and what it sends and states upon one."""

import msgspec

from actors.vdcm import Inbox, Vdcm
from protocol.effects import CALM, Chance, Out, Send
from protocol.facts import Event
from protocol.machine import Device, Machine, Unit, Vm
from protocol.messages import (
    AnyMessage,
    Done,
    EnableVwq,
    FindBySpidGot,
    NotifyBind,
    NotifyFree,
    NotifyReply,
    NotifyUnbind,
    OpenVdev,
    PutPasid,
    PutPasidGot,
    RunWork,
    Verdict,
    WriteVims,
)
from protocol.names import CORE, INVALID_PASID, WORKQUEUE, Name

GUEST = "vm1.guest"
DSA = "dsa0"
NAME = "vdcm.dsa0"
GOT = PutPasidGot(1, reclaimed=False)
OK = (CORE, NotifyReply(1, Verdict.OK))
DONE = (CORE, NotifyReply(1, Verdict.DONE))
BAD = (CORE, NotifyReply(1, Verdict.BAD))

Sent = list[tuple[Name, AnyMessage]]


def machine(wq: str, *, pri: bool = False) -> Machine:
    """Two VMs share dsa0; dsa1 is vm3's.  Without PRI, so that putting needs no unit."""
    return Machine(
        units=(Unit("dmar0"),),
        devices=tuple(Device(name, "dmar0", pri=pri, wq=wq) for name in ("dsa0", "dsa1")),
        vms=(Vm("vm1", (("dsa0",),)), Vm("vm2", (("dsa0",),)), Vm("vm3", (("dsa1",),))),
    )


def bind_of(pasid: int, spid: int = 4, call: int = 1, vm: Name = "vm1") -> NotifyBind:
    """BIND in set 3; the ghost of PASID p is 10 * p."""
    return NotifyBind(call, pasid, 10 * pasid, spid, 3, vm)


def unbind_of(pasid: int, spid: int = 4, call: int = 1, vm: Name = "vm1") -> NotifyUnbind:
    return NotifyUnbind(call, pasid, 10 * pasid, spid, 3, vm)


def free_of(pasid: int, call: int = 1, vm: Name = "vm1") -> NotifyFree:
    return NotifyFree(call, pasid, 10 * pasid, INVALID_PASID, 3, vm)


def run_of(slot: str, pasid: int = 7, vm: Name = "vm1") -> RunWork:
    return RunWork(f"{vm}:{slot}:{pasid}", pasid, 10 * pasid)


def found(pasid: int, call: int = 1, life: int = 0) -> FindBySpidGot:
    return FindBySpidGot(call, pasid, 10 * pasid + life)


def put_of(slot: str, call: int = 1, pasid: int = 7, vm: Name = "vm1") -> PutPasid:
    return PutPasid(call, pasid, 10 * pasid, f"{vm}:{slot}")


def take(vdcm: Vdcm, message: Inbox, sender: Name = CORE, chance: Chance = CALM) -> Out:
    """One input; whatever the state is then, it survives being stored."""
    out = Out(NAME, chance)
    vdcm.handle(message, sender, out)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(vdcm), type=Vdcm) == vdcm
    return out


def pairs(out: Out) -> Sent:
    """The messages that left, as (to, message)."""
    return [(effect.to, effect.message) for effect in out.effects if isinstance(effect, Send)]


def hand(vdcm: Vdcm, message: Inbox, sender: Name = CORE) -> Sent:
    """What the VDCM sends upon it."""
    return pairs(take(vdcm, message, sender))


def facts(vdcm: Vdcm, message: Inbox, sender: Name = CORE) -> list[Event]:
    """What the VDCM states upon it."""
    return list(take(vdcm, message, sender).facts)


def fresh(wq: str = "dedicated") -> Vdcm:
    return Vdcm.of(machine(wq), NAME)


def opened(wq: str = "dedicated", *vms: Name) -> Vdcm:
    """Open for vm1, or for these."""
    vdcm = fresh(wq)
    for vm in vms or ("vm1",):
        hand(vdcm, OpenVdev(9), f"{vm}.guest")
        hand(vdcm, Done(1))
    return vdcm


def programmed(slot: str = "wq", pasid: int = 7, *, life: int = 0) -> Vdcm:
    """A device with dedicated WQs; the slot of vm1 has the PASID, its gPASID is 4."""
    vdcm = opened()
    program(vdcm, slot, pasid, life=life)
    return vdcm


def program(vdcm: Vdcm, slot: str = "wq", pasid: int = 7, *, life: int = 0) -> None:
    """The guest puts its gPASID 4 into the slot."""
    hand(vdcm, EnableVwq(8, 4) if slot == "wq" else WriteVims(8, 4), GUEST)
    hand(vdcm, found(pasid, life=life))
    assert hand(vdcm, Done(1), DSA) == [(GUEST, Done(8))]


def entitled(*pasids: int) -> Vdcm:
    """A device with a shared WQ; vm1 has the right to submit with these."""
    vdcm = opened("shared")
    for pasid in pasids or (7,):
        hand(vdcm, bind_of(pasid))
        assert hand(vdcm, Done(1)) == [OK]
    return vdcm


def run(vdcm: Vdcm, slot: str, pasid: int = 7) -> Sent:
    """The work's turn has come."""
    return hand(vdcm, run_of(slot, pasid), WORKQUEUE)
