"""A VFIO to test: its machine, and what it sends and states when it is handed something."""

from actors.vfio import Inbox, Vfio
from protocol.effects import Out, Send
from protocol.machine import Device, Machine, Unit, Vm
from protocol.messages import (
    AllocPasidGot,
    AllocSetGot,
    AnyMessage,
    Done,
    OpenContainer,
    RequestPasid,
)
from protocol.names import CORE, IOMMU, VFIO, Name
from tests.helpers import step

GUEST = "vm1.guest"
OTHER = "vm2.guest"
LOCK = "pasid_lock:vm1"
MACHINE = Machine(
    units=(Unit("dmar0"),),
    devices=tuple(Device(f"dsa{number}", "dmar0") for number in range(3)),
    vms=(Vm("vm1", (("dsa0", "dsa1"), ("dsa2",))), Vm("vm2", (("dsa0",),))),
    quota=4,
)

Sent = list[tuple[Name, AnyMessage]]


def pairs(out: Out) -> Sent:
    """The messages that left, as (to, message)."""
    return [(effect.to, effect.message) for effect in out.effects if isinstance(effect, Send)]


def hand(vfio: Vfio, message: Inbox, sender: Name = CORE) -> Sent:
    """What VFIO sends upon it."""
    return pairs(step(vfio, message, sender, name=VFIO))


def fresh() -> Vfio:
    """A VFIO with nothing open."""
    return Vfio.of(MACHINE, VFIO)


def opened() -> Vfio:
    """Both containers of vm1 are open; its set is number 3."""
    vfio = fresh()
    hand(vfio, OpenContainer(1, 0), GUEST)
    hand(vfio, AllocSetGot(1, 3))
    hand(vfio, Done(1), IOMMU)
    hand(vfio, Done(1), IOMMU)
    hand(vfio, OpenContainer(2, 1), GUEST)
    hand(vfio, Done(1), IOMMU)
    return vfio


def linked(*pasids: int) -> Vfio:
    """As `opened`, with these PASIDs in the tree; the ghost of PASID p is 10 * p."""
    vfio = opened()
    for pasid in pasids:
        hand(vfio, RequestPasid(1, 1, 99), GUEST)
        hand(vfio, AllocPasidGot(1, pasid, 10 * pasid))
    return vfio
