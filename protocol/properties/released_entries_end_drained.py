"""I20: a release may not sleep, so the unbind that comes after it has to make up for the drain."""

from typing import ClassVar

from protocol.facts import Event, HostGone, RequestsDrained
from protocol.facts.intel_iommu import DevPasidSet, EntrySilenced, EntryZeroed
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import IOMMU, Name, Pasid
from protocol.properties.property import Kind, Owed, named, when

Tag = tuple[Name, Pasid]


class ReleasedEntriesEndDrained:
    """What takes a PASID away after a release drains it, and leaves no FPD for the next user."""

    name: ClassVar[str] = "released-entries-end-drained"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I20"
    source: ClassVar[str] = "cf08ca81d08a"
    observes: ClassVar[tuple[type[Event], ...]] = (
        EntrySilenced,
        EntryZeroed,
        RequestsDrained,
        DevPasidSet,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.drained = {
            one.name: one.unit != "" and machine.has_pri(one) for one in machine.devices
        }
        """Which devices are to be drained."""
        self.silent: dict[Tag, dict[str, tuple[Name, int]]] = {}
        """Entries that a release has left, and what has been done since."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is DevPasidSet:
            return self._set(record, fact) if self.silent else None
        if type(fact) is EntrySilenced:
            self.silent[fact.device, fact.pasid] = {}
        elif type(fact) is HostGone:
            self.drained[record.stamp.actor] = False
        elif type(fact) is EntryZeroed:
            self._did(record, (fact.device, fact.pasid), "zeroing its entry")
        elif type(fact) is RequestsDrained and fact.by == IOMMU and not fact.overflow:
            self._did(record, (fact.device, fact.pasid), "draining it")
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _set(self, record: Record, fact: DevPasidSet) -> str | None:
        done = self.silent.pop((fact.device, fact.pasid), None)
        if done is None:
            return None
        wanted = ["zeroing its entry"]
        if self.drained[fact.device]:
            wanted.append("draining it")
        for words in wanted:
            actor, n = done.get(words, ("", 0))
            if n == 0 or not record.saw(actor, n):
                return (
                    f"{named(fact.pasid, fact.incarnation)} was taken from {fact.device} at "
                    f"{when(record.stamp)}, after a release, without {words}"
                )
        return None

    def _did(self, record: Record, tag: Tag, words: str) -> None:
        done = self.silent.get(tag)
        if done is not None:
            done[words] = (record.stamp.actor, record.stamp.n)
