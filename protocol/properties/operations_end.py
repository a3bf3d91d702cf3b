"""Whoever asked gets an answer: a deadlock (L5) or a drain without end (L3) leaves one waiting."""

from typing import ClassVar

from protocol.facts import (
    Event,
    HostGone,
    OpFail,
    OpInfo,
    OpInvoked,
    OpOk,
    ProcessExited,
    VmExited,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, kvm_of, vdcm_of, vm_of
from protocol.properties.property import Kind, Owed, Since, named, since


class OperationsEnd:
    """Every operation that a process began ends, unless its guest was lost or its VM has exited.

    It is owed by whom the guest asks, first hand: VFIO or the VMM, the device's VDCM, or, for
    descriptors, KVM and the device, which they go through.  A frozen guest ends nothing.  A process
    of the host asks the driver of the device's files, or the device.
    """

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
        ProcessExited,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.open: dict[tuple[Name, int], tuple[OpInvoked, Since]] = {}
        """Of each process and operation: what, since when."""
        self.excused: dict[Name, None] = {}
        """Guests that are lost, VMs and processes of the host that have exited."""
        self.processes = machine.processes
        self.door = machine.door
        self.doors = {one.name: machine.door_of(one.name) for one in machine.devices}

    def observe(self, record: Record) -> str | None:
        actor = record.stamp.actor
        fact = record.fact
        if type(fact) is OpInvoked:
            self.open[actor, fact.op] = (fact, since(record.stamp))
        elif type(fact) is OpOk or type(fact) is OpFail or type(fact) is OpInfo:
            self.open.pop((actor, fact.op), None)
        elif type(fact) is VmExited:
            self.excused[fact.vm] = None
        elif type(fact) is ProcessExited:
            self.excused[fact.process] = None
        elif type(fact) is HostGone:
            self.excused[actor] = None
        return None

    def unmet(self) -> list[Owed]:
        return [
            self._owed(actor, fact, begun)
            for (actor, _), (fact, begun) in self.open.items()
            if actor not in self.excused and vm_of(actor) not in self.excused
        ]

    def _owed(self, actor: Name, fact: OpInvoked, begun: Since) -> Owed:
        path = _path(actor, fact, self.door)
        if actor in self.processes:
            submits = fact.operation in ("dma", "fault")
            path = (actor, fact.device if submits else self.doors.get(fact.device, actor))
        return Owed(_said(actor, fact), begun, path, "it goes through", through=True)


def _said(actor: Name, fact: OpInvoked) -> str:
    about = f" with {named(fact.pasid, fact.incarnation)}" if fact.pasid else ""
    return f"operation {fact.op} of {actor}, {fact.operation}{about}, has not ended"


def _path(actor: Name, fact: OpInvoked, door: Name) -> tuple[Name, ...]:
    """Whom the operation goes through, from the guest on."""
    match fact.operation:
        case "alloc" | "bind" | "unbind" | "free":
            return actor, door
        case "dma" | "fault":
            return actor, kvm_of(vm_of(actor)), fact.device
        case "portal":
            return actor, vdcm_of(fact.device), fact.device
        case _:
            return actor, vdcm_of(fact.device)
