"""I11: a process opens a device twice, and both files mean the same address space."""

from typing import ClassVar, Final

from protocol.errors import Errno
from protocol.facts import Event
from protocol.facts.sva import BondFreed, BondMade, SvaBindAnswered
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.modern import homes
from protocol.properties.property import Kind, Owed, when

BEFORE: Final = (Errno.EOVERFLOW.value, Errno.EINVAL.value)
"""Said before a bond is looked for: the device is too narrow; the mm has gone."""


class OneBondForAPair:
    """A group and an mm have one bond at most, and each bind of the two is answered with it."""

    name: ClassVar[str] = "one-bond-for-a-pair"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I11"
    source: ClassVar[str] = "65d4418c5002, 6384c56c99d9"
    observes: ClassVar[tuple[type[Event], ...]] = (BondMade, BondFreed, SvaBindAnswered)

    def __init__(self, machine: Machine) -> None:
        self.group_of = homes(machine)
        self.bonds: dict[tuple[Name, Name], Name] = {}
        """By group and mm."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is SvaBindAnswered:
            bond = self.bonds.get((self.group_of.get(fact.device, ""), fact.mm))
            if bond is not None and bond != fact.handle and fact.errno not in BEFORE:
                said = fact.handle or fact.errno
                return (
                    f"a bind of {fact.device} and {fact.mm} was answered {said} at "
                    f"{when(record.stamp)}, and {bond} is their bond"
                )
        elif type(fact) is BondMade:
            before = self.bonds.get((fact.group, fact.mm))
            self.bonds[fact.group, fact.mm] = fact.handle
            if before is not None:
                return (
                    f"{fact.handle} is a second bond of {fact.group} and {fact.mm} at "
                    f"{when(record.stamp)}, beside {before}"
                )
        elif type(fact) is BondFreed:
            for pair in [pair for pair, bond in self.bonds.items() if bond == fact.handle]:
                del self.bonds[pair]
        return None

    def unmet(self) -> list[Owed]:
        return []
