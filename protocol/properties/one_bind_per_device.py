"""N11: a refused second bind leaves the first as it was (seed 000, S8)."""

from typing import ClassVar

from protocol.facts import (
    BindAnswered,
    DeviceBound,
    DeviceUnbound,
    Event,
    PasidReclaimed,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class OneBindPerDevice:
    """A device is bound to a PASID at most once; a bind that fails undoes what it did, no more."""

    name: ClassVar[str] = "one-bind-per-device"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N11"
    source: ClassVar[str] = "E. Auger on v3 7/7 Disable multiple GPASID-dev bind; b025dea63cde"
    observes: ClassVar[tuple[type[Event], ...]] = (
        DeviceBound,
        DeviceUnbound,
        BindAnswered,
        PasidReclaimed,
    )

    def __init__(self, machine: Machine) -> None:
        parents = machine.parents
        self.groups = {
            vm.name: [[parents.get(one, one) for one in group] for group in vm.groups]
            for vm in machine.vms
        }
        self.settled: dict[Pasid, dict[Name, bool]] = {}
        """Devices bound, and whether the bind call that did it has succeeded since."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is DeviceBound:
            bound = self.settled.setdefault(fact.pasid, {})
            if fact.device in bound:
                return (
                    f"{fact.device} was bound to {named(fact.pasid, fact.incarnation)} for "
                    f"{fact.vm} at {when(record.stamp)}, and was bound to it already"
                )
            bound[fact.device] = False
        elif type(fact) is DeviceUnbound:
            settled = self.settled.get(fact.pasid, {}).pop(fact.device, False)
            if settled and fact.why == "rollback":
                return (
                    f"a bind that failed undid the earlier bind of {fact.device} to "
                    f"{named(fact.pasid, fact.incarnation)} at {when(record.stamp)}"
                )
        elif type(fact) is BindAnswered:
            bound = self.settled.get(fact.pasid, {})
            if fact.errno:
                return self._refused(record, fact, bound)
            for device in self.groups[fact.vm][fact.group]:
                if device in bound:
                    bound[device] = True
        elif type(fact) is PasidReclaimed:
            self.settled.pop(fact.pasid, None)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _refused(self, record: Record, fact: BindAnswered, bound: dict[Name, bool]) -> str | None:
        """What this call had bound is undone; where it had bound nothing, others' is not meant."""
        left = [one for one in self.groups[fact.vm][fact.group] if bound.get(one) is False]
        if not fact.rolled_back or not left:
            return None
        return (
            f"a bind of {named(fact.pasid, fact.incarnation)} to group {fact.group} of {fact.vm} "
            f"failed with {fact.errno} at {when(record.stamp)}, and {left[0]} stayed bound"
        )
