"""Witness: the order in which a killed process goes: its address space first (S15)."""

from typing import ClassVar

from protocol.facts import Event, PageTablesFreed
from protocol.facts.accelerators import PartLeft
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, when


class MmReleasedBeforeUnbind:
    """A driver unbound an mm whose page tables had gone."""

    name: ClassVar[str] = "mm-released-before-unbind"
    kind: ClassVar[Kind] = Kind.SOMETIMES
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "kernel/exit.c of Linux 7.3: exit_mm, then exit_files"
    observes: ClassVar[tuple[type[Event], ...]] = (PageTablesFreed, PartLeft)

    def __init__(self, machine: Machine) -> None:
        self.gone: dict[Name, None] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PageTablesFreed:
            self.gone[fact.mm] = None
        elif type(fact) is PartLeft and fact.part == "bond" and fact.mm in self.gone:
            at = when(record.stamp)
            return f"{fact.device} unbound {fact.mm} at {at}, after its page tables had gone"
        return None

    def unmet(self) -> list[Owed]:
        return []
