"""Histories made by hand for the tests of properties."""

from protocol.facts import (
    EntryCleared,
    EntryWritten,
    Event,
    HostGone,
    NotificationSent,
    PasidAllocated,
    PasidReclaimed,
    ReferenceDropped,
    ReferenceTaken,
)
from protocol.history import Record, Stamp
from protocol.machine import Device, Machine, Unit, Vm
from protocol.names import INVALID_PASID, Incarnation, Pasid
from protocol.properties import Property, property_named
from protocol.properties.property import End

MACHINE = Machine(
    units=(Unit("dmar0"), Unit("dmar1")),
    devices=(
        Device("dsa0", "dmar0"),
        Device("dsa1", "dmar1"),
        Device("dsa2", "dmar1", ats=False, pri=False),
    ),
    vms=(Vm("vm1", (("dsa0", "dsa1"),)), Vm("vm2", (("dsa0",), ("dsa2",)))),
)

PASID: Pasid = 5


class Story:
    """Tells one property a history, input by input, and keeps what it says."""

    def __init__(self, name: str, machine: Machine = MACHINE) -> None:
        self.property: Property = property_named(name)(machine)
        self.inputs: dict[str, int] = {}
        self.said: list[str] = []
        self.step = 0

    def then(self, actor: str, *facts: Event, **stamp: str | int) -> list[str]:
        """An input of `actor` that saw all that has been told; what the property says to it."""
        return self._tell(actor, facts, dict(self.inputs), stamp)

    def apart(self, actor: str, *facts: Event, **stamp: str | int) -> list[str]:
        """An input of `actor` that saw nothing but what the actor did itself."""
        own = {actor: self.inputs[actor]} if actor in self.inputs else {}
        return self._tell(actor, facts, own, stamp)

    def lose(self, actor: str) -> list[str]:
        """The actor dies for good."""
        return self.then(actor, HostGone())

    def owed(self, *frozen: str) -> list[str]:
        """What is owed at the end, and is not excused by who is frozen then."""
        end = End(self.step, self.inputs, dict.fromkeys(frozen))
        return [one.said(end) for one in self.property.unmet() if not one.excused(end)]

    def _tell(
        self,
        actor: str,
        facts: tuple[Event, ...],
        saw: dict[str, int],
        stamp: dict[str, str | int],
    ) -> list[str]:
        n = self.inputs[actor] = self.inputs.get(actor, 0) + 1
        made = Stamp(actor=actor, n=n, clock=saw | {actor: n}, **stamp)  # type: ignore[arg-type]
        self.step = max(self.step, made.step)
        records = [Record(made, fact) for fact in facts if type(fact) in self.property.observes]
        assert records, f"{self.property.name} observes none of these"
        spoken = [self.property.observe(record) for record in records]
        self.said += [sentence for sentence in spoken if sentence is not None]
        return [sentence for sentence in spoken if sentence is not None]


def allocated(life: Incarnation, pasid: Pasid = PASID, vm: str = "vm1") -> PasidAllocated:
    """A life of a VM's PASID begins; vm1 has set 1, vm2 set 2."""
    return PasidAllocated(pasid, life, int(vm[2:]), vm, set_count=1)


def reclaimed(life: Incarnation, pasid: Pasid = PASID) -> PasidReclaimed:
    """It ends as it should."""
    return PasidReclaimed(
        pasid=pasid,
        incarnation=life,
        set=1,
        refs=0,
        holders=(),
        spid=INVALID_PASID,
        data=0,
        set_count=0,
    )


def taken(
    life: Incarnation = 1, holder: str = "iommu:svm", refs: int = 1, state: str = "ACTIVE"
) -> ReferenceTaken:
    """A reference of the PASID."""
    return ReferenceTaken(PASID, life, holder, refs, state)


def dropped(life: Incarnation = 1, holder: str = "iommu:svm", refs: int = 0) -> ReferenceDropped:
    """It is put."""
    return ReferenceDropped(PASID, life, holder, refs)


def sent(what: str, life: Incarnation = 1, spid: int = 101) -> NotificationSent:
    """A notification begins."""
    return NotificationSent(what, PASID, life, 1, "vm1", spid)


def written(device: str = "dsa0", vm: str = "vm1", *, present: bool = False) -> EntryWritten:
    """An entry for the PASID in dmar0."""
    return EntryWritten("dmar0", device, PASID, 1, vm, 1, was_present=present)


def cleared(device: str = "dsa0", by: str = "vm1", why: str = "unbind") -> EntryCleared:
    """It is cleared."""
    return EntryCleared("dmar0", device, PASID, 1, "vm1", by, why)
