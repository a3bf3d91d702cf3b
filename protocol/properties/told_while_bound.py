"""O7, O8, O9: who hears BIND lets the guest in, and who hears UNBIND must still be there (S9)."""

from typing import ClassVar, TypeAlias

from protocol.facts import (
    BindAnswered,
    DeviceBound,
    DeviceTornDown,
    Event,
    NotificationSent,
    SvmCreated,
    SvmFreed,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Name, Pasid
from protocol.properties.property import Kind, Owed, named, when

Place: TypeAlias = tuple[Name, int]
"""An actor's input."""


class ToldWhileBound:
    """BIND is told after the first entry is usable, UNBIND after the last is clean, before the put.

    A bind succeeds when BIND has been told; if it fails after that, UNBIND follows.  Between the
    two nothing is told, whatever devices join or leave (N4).  What somebody else attaches than the
    driver, for a PASID that it has no svm of, is no bind.
    """

    name: ClassVar[str] = "told-while-bound"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "O7, O8, O9"
    source: ClassVar[str] = "K. Tian on v1 10/10, Mar 2020; V4 ioasid.rst; V4 14/18 svm.c"
    observes: ClassVar[tuple[type[Event], ...]] = (
        NotificationSent,
        SvmCreated,
        DeviceBound,
        DeviceTornDown,
        SvmFreed,
        BindAnswered,
    )

    def __init__(self, machine: Machine) -> None:
        self.svms: dict[Pasid, None] = {}
        self.bound: dict[Pasid, dict[Name, Place]] = {}
        """Devices with a usable entry, and where that was said."""
        self.clean: dict[Pasid, Place] = {}
        """Where the last device was torn down."""
        self.told: dict[Pasid, tuple[Incarnation, str, Place]] = {}
        """The last life that was told of, whether of BIND or of UNBIND, and where."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is NotificationSent:
            if fact.notification == "BIND":
                return self._bind(record, fact)
            if fact.notification == "UNBIND":
                return self._unbind(record, fact)
        elif type(fact) is DeviceBound:
            place = (record.stamp.actor, record.stamp.n)
            self.bound.setdefault(fact.pasid, {})[fact.device] = place
        elif type(fact) is DeviceTornDown:
            devices = self.bound.get(fact.pasid)
            if devices is None or fact.device not in devices:
                return None
            del devices[fact.device]
            if not devices:
                del self.bound[fact.pasid]
                self.clean[fact.pasid] = (record.stamp.actor, record.stamp.n)
        elif type(fact) is SvmFreed:
            self.svms.pop(fact.pasid, None)
            return self._freed(record, fact)
        elif type(fact) is SvmCreated:
            self.svms[fact.pasid] = None
        elif type(fact) is BindAnswered and not fact.errno:
            return self._answered(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _bind(self, record: Record, fact: NotificationSent) -> str | None:
        self._tell(record, fact)
        usable = self.bound.get(fact.pasid, {})
        if fact.pasid not in self.svms or any(record.saw(*place) for place in usable.values()):
            return None
        return _said(record, fact, "BIND is told before an entry is usable")

    def _unbind(self, record: Record, fact: NotificationSent) -> str | None:
        self._tell(record, fact)
        if fact.pasid in self.bound:
            return _said(record, fact, f"UNBIND is told with {next(iter(self.bound[fact.pasid]))}")
        clean = self.clean.pop(fact.pasid, None)
        if clean is None or record.saw(*clean):
            return None
        return _said(record, fact, "UNBIND is told without waiting for the last teardown")

    def _tell(self, record: Record, fact: NotificationSent) -> None:
        place = (record.stamp.actor, record.stamp.n)
        self.told[fact.pasid] = (fact.incarnation, fact.notification, place)

    def _freed(self, record: Record, fact: SvmFreed) -> str | None:
        self.clean.pop(fact.pasid, None)
        told = self.told.get(fact.pasid)
        if told is None or told[0] != fact.incarnation:
            return None  # It was never told that it is bound.
        if told[1] == "UNBIND" and record.saw(*told[2]):
            return None
        return _said(record, fact, "the driver puts without having told UNBIND")

    def _answered(self, record: Record, fact: BindAnswered) -> str | None:
        told = self.told.get(fact.pasid)
        if told is not None and told[0] >= fact.incarnation and record.saw(*told[2]):
            return None
        return _said(record, fact, "the bind succeeds without BIND having been told")


def _said(record: Record, fact: NotificationSent | SvmFreed | BindAnswered, wrong: str) -> str:
    return f"{named(fact.pasid, fact.incarnation)}: {wrong}, at {when(record.stamp)}"
