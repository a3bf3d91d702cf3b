"""Small actors that show what a link does: they say numbers, and note what they hear."""

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias, assert_never

from clusters.cluster import Actor
from protocol.effects import Out, Site
from protocol.facts import Event, OpInvoked
from protocol.history import Record
from protocol.machine import Machine
from protocol.messages import HostLost, Start, TimerFired, Told
from protocol.names import Name
from protocol.properties.property import Kind, Owed

COUNT = 12

Inbox: TypeAlias = Start | HostLost | TimerFired | Told


@dataclass(slots=True)
class Talker:
    """Says 1, 2, ... to each of `to`, a few at its start, and one at each timer."""

    SITES: ClassVar[tuple[Site, ...]] = ()
    LOSABLE: ClassVar[bool] = True

    to: list[Name]
    count: int = COUNT
    said: int = 0
    heard: list[tuple[Name, int]] = field(default_factory=list)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        match message:
            case Start():
                self.say(3, out)
            case TimerFired():
                self.say(1, out)
            case Told():
                self.heard.append((sender, message.pasid))
                out.record(OpInvoked(message.pasid, "hear", device=sender))
            case HostLost():
                pass
            case _:
                assert_never(message)

    def say(self, count: int, out: Out) -> None:
        if not self.to:
            return
        for _ in range(count):
            self.said += 1
            for to in self.to:
                out.send(to, Told("number", self.said, 0, 0))
        if self.said < self.count:
            out.set_timer("more")


def talkers() -> dict[Name, Actor]:
    """`a` and `b` talk to `c`; `a` also to `b`."""
    return {"a": Talker(["b", "c"]), "b": Talker(["c"]), "c": Talker([])}


class NothingTwice:
    """Nobody hears a number twice."""

    name: ClassVar[str] = "nothing-twice"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "T4"
    source: ClassVar[str] = "none"
    observes: ClassVar[tuple[type[Event], ...]] = (OpInvoked,)

    def __init__(self, machine: Machine) -> None:
        self.heard: dict[tuple[Name, Name], list[int]] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        assert isinstance(fact, OpInvoked)
        before = self.heard.setdefault((record.stamp.actor, fact.device), [])
        wrong = self.wrong(before, fact.op)
        before.append(fact.op)
        return f"{record.stamp.actor} hears {fact.op} after {before[:-1]}" if wrong else None

    def wrong(self, before: list[int], now: int) -> bool:
        """Whether it should not hear this, after those."""
        return now in before

    def unmet(self) -> list[Owed]:
        return []


class NothingOvertakes(NothingTwice):
    """Nobody hears a number before a smaller one."""

    name: ClassVar[str] = "nothing-overtakes"

    def wrong(self, before: list[int], now: int) -> bool:
        return bool(before) and now < before[-1]


class NothingMissed(NothingTwice):
    """Nobody hears a number without the one before it."""

    name: ClassVar[str] = "nothing-missed"

    def wrong(self, before: list[int], now: int) -> bool:
        return now > 1 and now - 1 not in before
