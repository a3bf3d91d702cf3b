"""An IOMMU core with the topology of the recordings, and what it is told."""

from collections.abc import Callable
from typing import Final, TypeAlias

from actors.iommu_core import IommuCore
from protocol.domains import Domain, Group
from protocol.effects import CALM, Chance, Out, Send
from protocol.errors import Errno
from protocol.facts import Fact
from protocol.machine import Device, Machine
from protocol.messages import AnyMessage, Done, Refused
from protocol.messages.iommu_core import (
    AttachDevicePasid,
    AttachHandleGet,
    DetachDevicePasid,
    ReplaceDevicePasid,
    SetDevPasid,
)
from protocol.names import IOMMU, IOMMU_CORE, Name
from tests.helpers import step

WHO: Final = "vfio"
MACHINE: Final = Machine(
    units=(),
    devices=(
        Device("a0", "A", pasids=32),
        Device("b0", "A", pasids=16),
        Device("b1", "A", pasids=8),
        Device("c0", "A", pasids=16),
        Device("c1", "A", pasids=0),
        Device("d0", "A", pasids=0),
        Device("f0", "B", pasids=6),
        Device("n0", ""),
        Device("u0", "A", pasids=8, ats=False),
    ),
    vms=(),
    groups=(Group("g2", ("b0", "b1")), Group("g3", ("c0", "c1"))),
    domains=(
        Domain("p0", unit="A"),
        Domain("p1", unit="A"),
        Domain("nested", "NESTED", "A"),
        Domain("theirs", unit="B"),
        Domain("unable", unit="A", pasid=False),
    ),
)
Core: TypeAlias = IommuCore
Answer: TypeAlias = Callable[[SetDevPasid], Errno | None]


def willing(_call: SetDevPasid) -> Errno | None:
    """A driver that agrees to everything."""
    return None


def refusing(*calls: tuple[str, str]) -> Answer:
    """A driver that refuses these (device, domain)."""
    return lambda call: Errno.EIO if (call.device, call.domain) in calls else None


def core(kind: type[Core] = IommuCore) -> Core:
    """As it is at first."""
    return kind.of(MACHINE, IOMMU_CORE)


def hand(core: Core, message: AnyMessage, sender: Name = WHO, chance: Chance = CALM) -> list[Send]:
    """What leaves after one message."""
    out = step(core, message, sender, chance, name=IOMMU_CORE)  # type: ignore[misc]
    return [effect for effect in out.effects if isinstance(effect, Send)]


def facts(core: Core, message: AnyMessage, sender: Name = WHO) -> list[Fact]:
    """What is stated after one message."""
    out: Out = step(core, message, sender, name=IOMMU_CORE)  # type: ignore[misc]
    return out.facts


def done(
    core: Core, message: AnyMessage, answer: Answer = willing, chance: Chance = CALM
) -> tuple[AnyMessage, list[AnyMessage]]:
    """The answer to a message, and what the driver was told meanwhile."""
    told: list[AnyMessage] = []
    sent = hand(core, message, WHO, chance)
    while True:
        (one,) = sent
        if one.to != IOMMU:
            return one.message, told
        told.append(one.message)
        call = one.message
        errno = answer(call) if isinstance(call, SetDevPasid) else None
        number = getattr(call, "call", 0)
        said = Done(number) if errno is None else Refused(number, errno)
        sent = hand(core, said, IOMMU)


def attach(
    device: str = "a0", pasid: int = 1, domain: str = "p0", handle: str = "h", call: int = 5
) -> AttachDevicePasid:
    """The usual one."""
    return AttachDevicePasid(call, device, pasid, 7, domain, handle)


def replace(
    device: str = "a0", pasid: int = 1, domain: str = "p1", handle: str = "k", call: int = 6
) -> ReplaceDevicePasid:
    """Another domain, with another handle."""
    return ReplaceDevicePasid(call, device, pasid, 7, domain, handle)


def detach(device: str = "a0", pasid: int = 1, domain: str = "p0") -> DetachDevicePasid:
    """What was attached."""
    return DetachDevicePasid(8, device, pasid, 7, domain)


def look(group: str = "a0", pasid: int = 1, kind: str = "") -> AttachHandleGet:
    """Whose it is."""
    return AttachHandleGet(9, group, pasid, kind)


def told(*calls: tuple[str, str, str], group: int, pasid: int = 1) -> list[AnyMessage]:
    """The driver's calls, as (device, domain, old)."""
    return [SetDevPasid(group, device, pasid, 7, domain, old) for device, domain, old in calls]
