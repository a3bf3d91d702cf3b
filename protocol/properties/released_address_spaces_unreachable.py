"""I19: when the mm has been told that the hardware is off its page tables, it frees them."""

from typing import ClassVar

from protocol.facts import (
    CacheFilled,
    CacheFlushed,
    DmaTranslated,
    EntryCleared,
    EntryWritten,
    Event,
    HostGone,
)
from protocol.facts.intel_iommu import (
    AddressSpaceReleased,
    CacheTagAssigned,
    CacheTagUnassigned,
    DomainMade,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, Thing, said, when

Tag = tuple[Name, Pasid]


class ReleasedAddressSpacesUnreachable:
    """After an mm's release no device reaches its pages: no entry, no line, no access."""

    name: ClassVar[str] = "released-address-spaces-unreachable"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I19"
    source: ClassVar[str] = "Linux 7.3 intel_mm_release"
    observes: ClassVar[tuple[type[Event], ...]] = (
        EntryWritten,
        EntryCleared,
        CacheFilled,
        CacheFlushed,
        DmaTranslated,
        CacheTagAssigned,
        CacheTagUnassigned,
        AddressSpaceReleased,
        DomainMade,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.there: dict[Tag, dict[Thing, None]] = {}
        self.ended: dict[Tag, dict[Name, int]] = {}
        """Of each place, the last input of each actor in which it took something away."""
        self.places: dict[Name, dict[Tag, None]] = {}
        """Where each domain is attached."""
        self.newest: dict[Tag, Name] = {}
        """The domain that got its tags last, so the one whose entry will be written."""
        self.owners: dict[Tag, Name] = {}
        """The domain whose entry was written last."""
        self.released: dict[Name, Name] = {}
        """Domains whose mm has been released, with the mm."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is CacheFilled:
            return self._begins(record, (fact.device, fact.pasid), ("a line in the {}", fact.cache))
        if type(fact) is CacheFlushed:
            self._ends(record, (fact.device, fact.pasid), ("a line in the {}", fact.cache))
        elif type(fact) is DmaTranslated:
            tag = (fact.device, fact.pasid)
            mm = self.released.get(self.owners.get(tag, ""))
            if mm is not None and fact.table_vm == mm:
                return self._said(record, tag, mm, "an access")
        elif type(fact) is EntryWritten:
            tag = (fact.device, fact.pasid)
            self.owners[tag] = self.newest.get(tag, "")
            return self._begins(record, tag, ("the entry",))
        elif type(fact) is EntryCleared:
            self._ends(record, (fact.device, fact.pasid), ("the entry",))
        elif type(fact) is AddressSpaceReleased:
            return self._released(record, fact)
        else:
            self._other(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _other(self, record: Record, fact: Event) -> None:
        if type(fact) is CacheTagAssigned or type(fact) is CacheTagUnassigned:
            self._tagged(fact)
        elif type(fact) is DomainMade:
            self.released.pop(fact.domain, None)
        elif type(fact) is HostGone:
            for tag in [one for one in self.there if one[0] == record.stamp.actor]:
                self.there[tag].pop(("a line in the {}", "device-tlb"), None)
            for ended in self.ended.values():
                ended.pop(record.stamp.actor, None)  # Gone with all it had: nobody need know more.

    def _tagged(self, fact: CacheTagAssigned | CacheTagUnassigned) -> None:
        tag = (fact.device, fact.pasid)
        if fact.kind != "iotlb":
            return
        places = self.places.setdefault(fact.domain, {})
        if type(fact) is CacheTagAssigned:
            places[tag] = None
            self.newest[tag] = fact.domain
        else:
            places.pop(tag, None)

    def _begins(self, record: Record, tag: Tag, thing: Thing) -> str | None:
        self.there.setdefault(tag, {})[thing] = None
        mm = self.released.get(self.owners.get(tag, ""))
        return None if mm is None else self._said(record, tag, mm, said(thing))

    def _ends(self, record: Record, tag: Tag, thing: Thing) -> None:
        there = self.there.get(tag)
        if there is not None and thing in there:
            del there[thing]
            self.ended.setdefault(tag, {})[record.stamp.actor] = record.stamp.n

    def _released(self, record: Record, fact: AddressSpaceReleased) -> str | None:
        self.released[fact.domain] = fact.mm
        for tag in self.places.get(fact.domain, {}):
            if self.owners.get(tag) != fact.domain:
                continue
            there = self.there.get(tag)
            if there:
                return self._said(record, tag, fact.mm, said(next(iter(there))))
            for actor, n in self.ended.get(tag, {}).items():
                if not record.saw(actor, n):
                    return self._said(record, tag, fact.mm, f"what {actor} took away")
        return None

    def _said(self, record: Record, tag: Tag, mm: Name, what: str) -> str:
        return (
            f"{mm} has been released, and {what} of PASID {tag[1]} on {tag[0]} is there "
            f"at {when(record.stamp)}"
        )
