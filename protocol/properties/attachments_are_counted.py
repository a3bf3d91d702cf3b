"""I33: who counts one too few frees a page table that a device still walks."""

from typing import ClassVar, TypeAlias

from protocol.facts import Event
from protocol.facts.iommu_core import SlotAttached, SlotReleased
from protocol.facts.iommufd import (
    ObjectRemoved,
    ObjectUsed,
    PtAttached,
    PtDetached,
    PtReplaced,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.modern import SlotKey
from protocol.properties.property import Kind, Owed, when

Object: TypeAlias = tuple[Name, str, Name]
"""Context; `device` or `domain`; the name of it."""
Place: TypeAlias = tuple[Name, Name, Pasid]
"""Context, group, PASID."""


class AttachmentsAreCounted:
    """A page table and a device have a user for each attachment, which the core has, too."""

    name: ClassVar[str] = "attachments-are-counted"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I33"
    source: ClassVar[str] = "drivers/iommu/iommufd/device.c of Linux 7.3"
    observes: ClassVar[tuple[type[Event], ...]] = (
        PtAttached,
        PtReplaced,
        PtDetached,
        ObjectUsed,
        ObjectRemoved,
        SlotAttached,
        SlotReleased,
    )

    def __init__(self, machine: Machine) -> None:
        self.slots: dict[SlotKey, Name] = {}
        self.devices: dict[Place, dict[Name, None]] = {}
        self.domains: dict[Place, Name] = {}
        self.wanted: dict[Object, int] = {}
        """Attachments, those among them that are being let go."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is SlotAttached:
            self.slots[fact.group, fact.pasid] = fact.domain
        elif type(fact) is SlotReleased:
            self.slots.pop((fact.group, fact.pasid), None)
        elif type(fact) is ObjectUsed:
            return self._used(record, fact)
        elif type(fact) is PtAttached:
            return self._attached(record, fact)
        elif type(fact) is PtReplaced:
            return self._replaced(record, fact)
        elif type(fact) is PtDetached:
            return self._detached(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _more(self, ctx: Name, kind: str, name: Name, by: int) -> None:
        key = (ctx, kind, name)
        self.wanted[key] = self.wanted.get(key, 0) + by
        if not self.wanted[key]:
            del self.wanted[key]

    def _attached(self, record: Record, fact: PtAttached) -> str | None:
        ctx = record.stamp.actor
        place = (ctx, fact.group, fact.pasid)
        self.devices.setdefault(place, {})[fact.device] = None
        self.domains[place] = fact.domain
        self._more(ctx, "domain", fact.domain, 1)
        self._more(ctx, "device", fact.device, 1)
        return self._core(record, place, fact.device)

    def _replaced(self, record: Record, fact: PtReplaced) -> str | None:
        """All go over; one user of the old one is left for the call."""
        ctx = record.stamp.actor
        place = (ctx, fact.group, fact.pasid)
        count = len(self.devices.get(place, {}))
        self._more(ctx, "domain", fact.domain, count)
        self._more(ctx, "domain", self.domains.get(place, ""), 1 - count)
        self.domains[place] = fact.domain
        return self._core(record, place, next(iter(self.devices.get(place, {})), ""))

    def _detached(self, record: Record, fact: PtDetached) -> str | None:
        place = (record.stamp.actor, fact.group, fact.pasid)
        devices = self.devices.get(place, {})
        had = fact.device in devices
        devices.pop(fact.device, None)
        if fact.last:
            self.devices.pop(place, None)
            self.domains.pop(place, None)
        if not had:
            where = f"PASID {fact.pasid} of {fact.group}"
            return f"{fact.device} let go of {where} at {when(record.stamp)}, which it had not"
        return None

    def _core(self, record: Record, place: Place, device: Name) -> str | None:
        _, group, pasid = place
        found = self.slots.get((group, pasid)) or self.slots.get((device, pasid))
        if found == self.domains[place]:
            return None
        return (
            f"PASID {pasid} of {group} has {self.domains[place]} at {when(record.stamp)}, and the "
            f"core has {found or 'nothing'} there"
        )

    def _used(self, record: Record, fact: ObjectUsed) -> str | None:
        kind = "device" if fact.kind == "device" else "domain"
        if fact.why == "put":
            self._more(record.stamp.actor, kind, fact.name, -1)
        wanted = self.wanted.get((record.stamp.actor, kind, fact.name), 0)
        right = fact.users == fact.base + wanted if fact.base else fact.users > wanted
        if right:
            return None
        besides = f"{fact.base} besides" if fact.base else "itself"
        return (
            f"{fact.kind} {fact.id} ({fact.name}) has {fact.users} users at {when(record.stamp)}: "
            f"{besides}, and {wanted} attachments"
        )
