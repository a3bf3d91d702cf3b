"""L4: files are closed in any order, and the end is the same (S36, S43)."""

from typing import ClassVar

from protocol.facts import (
    Event,
    HostGone,
    NotifierRegistered,
    NotifierUnregistered,
    PasidAllocated,
    PasidReclaimed,
    ReferenceDropped,
    ReferenceTaken,
    SetAllocated,
    SetFreed,
    VmExited,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import VFIO, Incarnation, Name, Pasid
from protocol.properties.property import (
    Kind,
    Ledger,
    Owed,
    Since,
    actor_of,
    named,
    only_lost,
    since,
)


class ExitedVmsLeaveNothing:
    """After a VM has exited its PASIDs are reclaimed, its set is freed, its notifiers are off."""

    name: ClassVar[str] = "exited-vms-leave-nothing"
    kind: ClassVar[Kind] = Kind.EVENTUALLY
    invariant: ClassVar[str] = "L4"
    source: ClassVar[str] = "v3 01/14 ioasid.rst; VFIO v7 vfio_pasid.c; V4 09/18"
    observes: ClassVar[tuple[type[Event], ...]] = (
        VmExited,
        PasidAllocated,
        PasidReclaimed,
        ReferenceTaken,
        ReferenceDropped,
        SetAllocated,
        SetFreed,
        NotifierRegistered,
        NotifierUnregistered,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.exited: dict[Name, Since] = {}
        """VMs that have exited, since when."""
        self.pasids: dict[Pasid, tuple[Incarnation, Name]] = {}
        self.sets: dict[int, Name] = {}
        self.blocks: dict[tuple[Name, Name], None] = {}
        """Notifier blocks, by token and subscriber."""
        self.ledger = Ledger()
        self.gone: dict[Name, None] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is ReferenceTaken:
            self.ledger.taken(fact)
        elif type(fact) is ReferenceDropped:
            self.ledger.dropped(fact)
        elif type(fact) is VmExited:
            self.exited.setdefault(fact.vm, since(record.stamp))
        elif type(fact) is PasidAllocated:
            self.pasids[fact.pasid] = (fact.incarnation, fact.token)
        elif type(fact) is PasidReclaimed:
            self.pasids.pop(fact.pasid, None)
            self.ledger.reclaimed(fact)
        elif type(fact) is SetAllocated:
            self.sets[fact.set] = fact.token
        elif type(fact) is SetFreed:
            self.sets.pop(fact.set, None)
        elif type(fact) is NotifierRegistered:
            self.blocks[fact.token, fact.subscriber] = None
        elif type(fact) is NotifierUnregistered:
            self.blocks.pop((fact.token, fact.subscriber), None)
        elif type(fact) is HostGone:
            self.gone[record.stamp.actor] = None
        return None

    def unmet(self) -> list[Owed]:
        return [
            owed
            for vm, exit_ in self.exited.items()
            for owed in (*self._pasids(vm, exit_), *self._sets(vm, exit_), *self._blocks(vm, exit_))
        ]

    def _excused(self, pasid: Pasid) -> bool:
        """Held by the lost only."""
        return only_lost(self.ledger.held_by(pasid), self.gone)

    def _living(self, pasid: Pasid) -> tuple[str, ...]:
        """Who holds it and still runs."""
        holders = self.ledger.held_by(pasid)
        return tuple(one for one in holders if actor_of(one) not in self.gone)

    def _pasids(self, vm: Name, exit_: Since) -> list[Owed]:
        return [
            Owed(
                f"{named(pasid, incarnation)} of {vm}, which has exited, is not reclaimed",
                exit_,
                self._living(pasid),
                "held by",
            )
            for pasid, (incarnation, token) in self.pasids.items()
            if token == vm and not self._excused(pasid)
        ]

    def _sets(self, vm: Name, exit_: Since) -> list[Owed]:
        """A set waits for its PASIDs: who holds one owes it, and what excuses one excuses it."""
        pasids = [pasid for pasid, (_, token) in self.pasids.items() if token == vm]
        if any(self._excused(pasid) for pasid in pasids):
            return []
        holders = dict.fromkeys(one for pasid in pasids for one in self._living(pasid))
        return [
            Owed(
                f"set {number} of {vm}, which has exited, is not freed",
                exit_,
                (*holders,) or (VFIO,),
            )
            for number, token in self.sets.items()
            if token == vm
        ]

    def _blocks(self, vm: Name, exit_: Since) -> list[Owed]:
        return [
            Owed(f"a notifier is registered for {vm}, which has exited,", exit_, (subscriber,))
            for token, subscriber in self.blocks
            if token == vm and subscriber not in self.gone
        ]
