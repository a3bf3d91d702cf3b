"""N5: KVM finds its entry by the SPID that UNBIND carries (S18)."""

from typing import ClassVar

from protocol.facts import Event, NotificationSent
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import INVALID_PASID, Gpasid, Incarnation, Pasid
from protocol.properties.property import Kind, Owed, named, when


class UnbindNamesTheBoundSpid:
    """UNBIND carries the SPID that BIND carried, and neither carries the invalid one."""

    name: ClassVar[str] = "unbind-names-the-bound-spid"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N5"
    source: ClassVar[str] = "v3 10/14 ioasid_detach_spid, mended in V4 09/18"
    observes: ClassVar[tuple[type[Event], ...]] = (NotificationSent,)

    def __init__(self, machine: Machine) -> None:
        self.bound: dict[Pasid, tuple[Incarnation, Gpasid]] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is NotificationSent and fact.notification in ("BIND", "UNBIND"):
            spid = fact.spid
            if fact.notification == "BIND":
                self.bound[fact.pasid] = (fact.incarnation, spid)
                was = (fact.incarnation, spid)
            else:
                was = self.bound.pop(fact.pasid, (0, spid))
            if spid == INVALID_PASID:
                what, life = fact.notification, named(fact.pasid, fact.incarnation)
                return f"{what} of {life} carried the invalid SPID at {when(record.stamp)}"
            if was[0] == fact.incarnation and was[1] != spid:
                life = named(fact.pasid, fact.incarnation)
                return (
                    f"UNBIND of {life} carried SPID {spid} at {when(record.stamp)}, "
                    f"its BIND had carried {was[1]}"
                )
        return None

    def unmet(self) -> list[Owed]:
        return []
