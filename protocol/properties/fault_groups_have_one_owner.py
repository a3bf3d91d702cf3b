"""I22: a group that is on two lists is answered, and freed, by two who do not know of each other.

While it lives it keeps the fault_param of its device: that has as many users as there are groups,
and one more while the device is on its queue.
"""

from typing import ClassVar

from msgspec import Struct

from protocol.facts import Event
from protocol.facts.iommufd import FaultQueued, FaultSettled
from protocol.facts.iopf import (
    FaultAnswered,
    FaultDeviceAdded,
    FaultDeviceRemoved,
    FaultGroupFormed,
    FaultGroupFreed,
    FaultGroupUnlisted,
    FaultParamUsed,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import IOPF, Name
from protocol.properties.property import Kind, Owed, Since, since, when


class Live(Struct):
    """A group, on which lists it is, and since when it has been answered."""

    what: str
    param: int
    key: tuple[Name, int, int]
    listed: bool = True
    queue: str = ""
    answered: Since | None = None


class FaultGroupsHaveOneOwner:
    """A group of page requests is on one list at a time, and freed once, after its answer."""

    name: ClassVar[str] = "fault-groups-have-one-owner"
    kind: ClassVar[Kind] = Kind.EVENTUALLY
    invariant: ClassVar[str] = "I22"
    source: ClassVar[str] = "738e6f32e61d (CVE-2026-74520), 9759ae2cee7c (CVE-2025-21770)"
    observes: ClassVar[tuple[type[Event], ...]] = (
        FaultGroupFormed,
        FaultGroupUnlisted,
        FaultGroupFreed,
        FaultAnswered,
        FaultQueued,
        FaultSettled,
        FaultDeviceAdded,
        FaultDeviceRemoved,
        FaultParamUsed,
    )

    def __init__(self, machine: Machine) -> None:
        self.groups: dict[int, Live] = {}
        self.users: dict[int, int] = {}
        """Of each fault_param, as it should be."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is FaultGroupFormed:
            what = f"page group {fact.group} of {fact.device}"
            key = (fact.device, fact.pasid, fact.group)
            self.groups[fact.id] = Live(what, fact.param, key)
            self.users[fact.param] = self.users.get(fact.param, 0) + 1
        elif type(fact) is FaultGroupUnlisted:
            if fact.id in self.groups:
                self.groups[fact.id].listed = False
        elif type(fact) is FaultGroupFreed:
            return self._freed(record, fact.id)
        elif type(fact) is FaultAnswered:
            key = (fact.device, fact.pasid, fact.group)
            for live in self.groups.values():
                if live.key == key and live.answered is None:
                    live.answered = since(record.stamp)
                    break
        elif type(fact) is FaultDeviceAdded:
            self.users[fact.param] = 1
        elif type(fact) is FaultDeviceRemoved:
            self.users[fact.param] -= 1
        elif type(fact) is FaultParamUsed:
            return self._used(record, fact)
        else:
            return self._queued(record)
        return None

    def unmet(self) -> list[Owed]:
        return [
            Owed(f"{live.what} is answered, and has not been freed", live.answered, (IOPF,))
            for live in self.groups.values()
            if live.answered is not None
        ]

    def _freed(self, record: Record, number: int) -> str | None:
        live = self.groups.pop(number, None)
        if live is None:
            return f"a page group that is gone was freed again at {when(record.stamp)}"
        self.users[live.param] -= 1
        if live.queue:
            return f"{live.what} was freed at {when(record.stamp)} while it waits in {live.queue}"
        return None

    def _used(self, record: Record, fact: FaultParamUsed) -> str | None:
        wanted = self.users.get(fact.param, 0)
        if fact.users == wanted:
            return None
        return (
            f"fault_param {fact.param} has {fact.users} users at {when(record.stamp)}, "
            f"and {wanted} use it"
        )

    def _queued(self, record: Record) -> str | None:
        """An iommufd context has it, or has it no more; one of a mock device has no group here."""
        fact = record.fact
        if type(fact) is FaultSettled and fact.group in self.groups:
            self.groups[fact.group].queue = ""
        elif type(fact) is FaultQueued and fact.group in self.groups:
            live = self.groups[fact.group]
            live.queue = f"fault queue {fact.queue} of {record.stamp.actor}"
            if live.listed:
                return (
                    f"{live.what} came to {live.queue} at {when(record.stamp)} "
                    "while it is on the list of its device"
                )
        return None
