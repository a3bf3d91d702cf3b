"""O18: after a reset the numbers of cancelled page groups come back; old requests must not."""

from typing import ClassVar

from protocol.facts import (
    Event,
    FunctionReturned,
    HostGone,
    PageAnswered,
    PageReported,
    PageRequested,
    PageSettled,
    RequestAutoAnswered,
    RequestRinged,
    RequestTaken,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, named, when

CANCELLED = -1
"""The code of a group that a reset has cancelled."""


class DrainedBeforeReturnToService:
    """A device that was reset works again only when no page request of before is on its way.

    Nor an answer to one: no group is settled that nobody has answered since it was raised.
    """

    name: ClassVar[str] = "drained-before-return-to-service"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "O18"
    source: ClassVar[str] = "VT-d specification 5.10, 7.9"
    observes: ClassVar[tuple[type[Event], ...]] = (
        PageRequested,
        PageSettled,
        RequestRinged,
        RequestAutoAnswered,
        RequestTaken,
        PageReported,
        PageAnswered,
        FunctionReturned,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.posted: dict[Name, int] = {}
        """Requests of each device that have not yet reached its unit; a link is in order."""
        self.held: dict[Name, dict[tuple[str, Pasid, int], int]] = {}
        """Those in the ring, or with a consumer, and how many of each."""
        self.answered: dict[tuple[Name, Pasid, int], bool] = {}
        """Whether each group that is owed has been answered by the driver."""
        self.by_itself: dict[Name, int] = {}
        """Answers of each device's unit that have not yet reached it."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PageRequested:
            self.posted[fact.device] = self.posted.get(fact.device, 0) + 1
            self.answered[fact.device, fact.pasid, fact.group] = False
        elif type(fact) is PageSettled:
            return self._settled(record, fact)
        elif type(fact) is RequestRinged:
            self._arrives(fact.device)
            self._begins(fact.device, ("in the ring", fact.pasid, fact.group))
        elif type(fact) is RequestAutoAnswered:
            self._arrives(fact.device)
            self.by_itself[fact.device] = self.by_itself.get(fact.device, 0) + 1
        elif type(fact) is RequestTaken:
            self._ends(fact.device, ("in the ring", fact.pasid, fact.group))
        elif type(fact) is PageReported:
            self._begins(fact.device, ("with its consumer", fact.pasid, fact.group))
        elif type(fact) is PageAnswered:
            self._ends(fact.device, ("with its consumer", fact.pasid, fact.group))
            group = (fact.device, fact.pasid, fact.group)
            if group in self.answered:
                self.answered[group] = True
        elif type(fact) is FunctionReturned:
            self.by_itself.pop(fact.device, None)
            return self._returned(record, fact.device)
        if type(fact) is HostGone:
            self.posted.pop(record.stamp.actor, None)
            self.held.pop(record.stamp.actor, None)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _settled(self, record: Record, fact: PageSettled) -> str | None:
        device = fact.device
        answered = self.answered.pop((device, fact.pasid, fact.group), True)
        if answered or fact.code == CANCELLED:
            return None
        if device in self.by_itself:
            self.by_itself[device] -= 1
            if not self.by_itself[device]:
                del self.by_itself[device]
            return None
        return (
            f"page group {fact.group} of {named(fact.pasid, fact.incarnation)} on {device} was "
            f"settled at {when(record.stamp)} by an answer to one before it"
        )

    def _arrives(self, device: Name) -> None:
        posted = self.posted.get(device, 0)
        if posted > 1:
            self.posted[device] = posted - 1
        else:
            self.posted.pop(device, None)

    def _begins(self, device: Name, request: tuple[str, Pasid, int]) -> None:
        held = self.held.setdefault(device, {})
        held[request] = held.get(request, 0) + 1

    def _ends(self, device: Name, request: tuple[str, Pasid, int]) -> None:
        held = self.held.get(device)
        if held is None or request not in held:
            return
        held[request] -= 1
        if not held[request]:
            del held[request]
        if not held:
            del self.held[device]

    def _returned(self, record: Record, device: Name) -> str | None:
        held = self.held.get(device)
        if held:
            where, pasid, group = next(iter(held))
            left = f"page group {group} of PASID {pasid} {where}"
        elif device in self.posted:
            left = f"{self.posted[device]} page requests on their way to its unit"
        else:
            return None
        return f"{device} returned to service at {when(record.stamp)} with {left}"
