"""I13: with the handle of another mm's bond a device works in an address space it was not given."""

from typing import ClassVar

from protocol.domains import SVA, made_domain
from protocol.facts import Event
from protocol.facts.sva import BondFreed, BondMade, SvaBindAnswered
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, when


class BindsReturnTheirOwnBond:
    """The handle that a bind returns is a live bond of its mm, with an SVA domain."""

    name: ClassVar[str] = "binds-return-their-own-bond"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I13"
    source: ClassVar[str] = "3e7f57d1ef3f; iommu_sva_bind_device of Linux 7.3"
    observes: ClassVar[tuple[type[Event], ...]] = (BondMade, BondFreed, SvaBindAnswered)

    def __init__(self, machine: Machine) -> None:
        self.bonds: dict[Name, tuple[Name, Name]] = {}
        """By handle, mm and domain."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is SvaBindAnswered:
            if fact.handle:
                return self._returned(record, fact)
        elif type(fact) is BondMade:
            self.bonds[fact.handle] = (fact.mm, fact.domain)
        elif type(fact) is BondFreed:
            self.bonds.pop(fact.handle, None)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _returned(self, record: Record, fact: SvaBindAnswered) -> str | None:
        bond = self.bonds.get(fact.handle)
        if bond is not None and bond[0] == fact.mm and made_domain(bond[1]).kind == SVA:
            return None
        whose = "no bond" if bond is None else f"the bond of {bond[0]} with {bond[1]}"
        return (
            f"a bind of {fact.device} and {fact.mm} returned {fact.handle} at "
            f"{when(record.stamp)}, which is {whose}"
        )
