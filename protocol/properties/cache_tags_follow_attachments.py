"""I28: a flush goes where the tags say, so each attachment has its own, for as long as it is."""

from typing import ClassVar

from protocol.facts import EntryCleared, EntryWritten, Event
from protocol.facts.intel_iommu import (
    CacheTagAssigned,
    CacheTagUnassigned,
    DevPasidRefused,
    DevPasidSet,
    DomainGone,
    DomainMade,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, when

Tag = tuple[Name, Pasid]
Owned = tuple[Name, str]
"""A domain, and a kind of cache."""


class CacheTagsFollowAttachments:
    """Cache tags are there before the entry, go after it, and none outlives its attachment."""

    name: ClassVar[str] = "cache-tags-follow-attachments"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I28"
    source: ClassVar[str] = "Linux 7.3 intel/cache.c; 1f2557e08a61, CVE-2024-56669"
    observes: ClassVar[tuple[type[Event], ...]] = (
        EntryWritten,
        EntryCleared,
        CacheTagAssigned,
        CacheTagUnassigned,
        DevPasidSet,
        DevPasidRefused,
        DomainMade,
        DomainGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.ats = {one.name: one.ats for one in machine.devices}
        self.parents: dict[Name, Name] = {}
        self.tags: dict[Tag, dict[Owned, None]] = {}
        self.newest: dict[Tag, Name] = {}
        """The domain that got its tags last, so the one whose entry will be written."""
        self.present: dict[Tag, Name] = {}
        self.domains: dict[Tag, Name] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is EntryWritten:
            return self._written(record, fact)
        if type(fact) is EntryCleared:
            self.present.pop((fact.device, fact.pasid), None)
        elif type(fact) is CacheTagAssigned:
            tag = (fact.device, fact.pasid)
            self.tags.setdefault(tag, {})[fact.domain, fact.kind] = None
            if fact.kind == "iotlb":
                self.newest[tag] = fact.domain
        elif type(fact) is CacheTagUnassigned:
            return self._unassigned(record, fact)
        elif type(fact) is DevPasidSet:
            self.domains[fact.device, fact.pasid] = fact.domain
            return self._looked_at(record, (fact.device, fact.pasid))
        elif type(fact) is DevPasidRefused:
            return self._looked_at(record, (fact.device, fact.pasid))
        elif type(fact) is DomainMade:
            self.parents[fact.domain] = fact.parent
        elif type(fact) is DomainGone:
            return self._gone(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _written(self, record: Record, fact: EntryWritten) -> str | None:
        tag = (fact.device, fact.pasid)
        domain = self.newest.get(tag, "")
        self.present[tag] = domain
        if not self.newest:
            return None  # A driver that has no tags.
        return None if (domain, "iotlb") in self.tags.get(tag, {}) else _said(record, tag, "no tag")

    def _unassigned(self, record: Record, fact: CacheTagUnassigned) -> str | None:
        tag = (fact.device, fact.pasid)
        self.tags.get(tag, {}).pop((fact.domain, fact.kind), None)
        there = self.present.get(tag, "")
        its = self.parents.get(there, "") if fact.kind.startswith("nesting") else there
        if its == fact.domain:
            return _said(record, tag, f"lost the {fact.kind} tag of {fact.domain} while present")
        return None

    def _looked_at(self, record: Record, tag: Tag) -> str | None:
        domain = self.domains.get(tag, "")
        have = self.tags.get(tag, {})
        wanted: dict[Owned, None] = {}
        if domain and any(one == domain for one, _ in have):
            wanted = dict.fromkeys(self._wanted(domain, tag[0]))
        elif tag in self.present:
            return _said(record, tag, f"has no tag of {domain}")
        for owned in [*have, *wanted]:
            if (owned in have) != (owned in wanted):
                word = "still has" if owned in have else "has no"
                return _said(record, tag, f"{word} {owned[1]} tag of {owned[0]}")
        return None

    def _wanted(self, domain: Name, device: Name) -> list[Owned]:
        kinds = ("iotlb", "devtlb") if self.ats[device] else ("iotlb",)
        parent = self.parents.get(domain, "")
        nesting = [(parent, f"nesting-{kind}") for kind in kinds] if parent else []
        return [*((domain, kind) for kind in kinds), *nesting]

    def _gone(self, record: Record, fact: DomainGone) -> str | None:
        for tag, have in self.tags.items():
            for domain, kind in have:
                if domain == fact.domain:
                    return _said(record, tag, f"has the {kind} tag of {domain}, which is freed")
        return None


def _said(record: Record, tag: Tag, what: str) -> str:
    return f"PASID {tag[1]} of {tag[0]} {what}, at {when(record.stamp)}"
