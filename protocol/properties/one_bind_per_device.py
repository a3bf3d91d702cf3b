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
    """A device is bound to a PASID at most once, and only the call that bound it rolls it back."""

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
        self.groups = {vm.name: vm.groups for vm in machine.vms}
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
        elif type(fact) is BindAnswered and not fact.errno:
            bound = self.settled.get(fact.pasid, {})
            for device in self.groups[fact.vm][fact.group]:
                if device in bound:
                    bound[device] = True
        elif type(fact) is PasidReclaimed:
            self.settled.pop(fact.pasid, None)
        return None

    def unmet(self) -> list[Owed]:
        return []
