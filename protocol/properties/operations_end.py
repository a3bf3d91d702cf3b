"""Whoever asked gets an answer: a deadlock (L5) or a drain without end (L3) leaves one waiting."""

from typing import ClassVar

from protocol.facts import Event, HostGone, OpFail, OpInfo, OpInvoked, OpOk, VmExited
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Name, Pasid, vm_of
from protocol.properties.property import Kind, named, when


class OperationsEnd:
    """Every operation that a process began ends, unless its guest was lost or its VM has exited."""

    name: ClassVar[str] = "operations-end"
    kind: ClassVar[Kind] = Kind.EVENTUALLY
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "protocol/README.md §4.7, §7.1"
    observes: ClassVar[tuple[type[Event], ...]] = (
        OpInvoked,
        OpOk,
        OpFail,
        OpInfo,
        VmExited,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.open: dict[tuple[Name, int], tuple[str, Pasid, Incarnation, str]] = {}
        """Of each process and operation: what, with which PASID, since when."""
        self.excused: dict[Name, None] = {}
        """Processes that are lost, VMs that have exited."""

    def observe(self, record: Record) -> str | None:
        actor = record.stamp.actor
        match record.fact:
            case OpInvoked() as fact:
                what = (fact.operation, fact.pasid, fact.incarnation, when(record.stamp))
                self.open[actor, fact.op] = what
            case OpOk() | OpFail() | OpInfo() as fact:
                self.open.pop((actor, fact.op), None)
            case VmExited() as fact:
                self.excused[fact.vm] = None
            case HostGone():
                self.excused[actor] = None
        return None

    def unmet(self) -> list[str]:
        return [
            f"operation {op} of {actor}, {operation}"
            + (f" with {named(pasid, incarnation)}" if pasid else "")
            + f", has not ended since {since}"
            for (actor, op), (operation, pasid, incarnation, since) in self.open.items()
            if actor not in self.excused and vm_of(actor) not in self.excused
        ]
