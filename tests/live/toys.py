"""Toy actors for the live world: a ring that passes numbers round, and whoever counts them.

They use messages of the protocol for what fits: `Told` carries a number (`pasid`) and the name of
the stream it belongs to (`variable`), `Done` acknowledges it.
"""

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias, assert_never

from clusters.cluster import Actor
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.facts import OpFail, OpOk
from protocol.messages import Done, HostLost, Start, TimerFired, Told
from protocol.names import Name

NUMBERS = 400
LONG = 3_000
STORM = 20_000
LIMIT = 1_000
RING = ("a", "b", "c", "d")
SITE = Site("toy.pass.memory", Errno.ENOMEM)

Inbox: TypeAlias = Start | HostLost | TimerFired | Told | Done


@dataclass(slots=True)
class Runner:
    """Sends `left` numbers to the next in the ring, one after each answer; checks what comes."""

    SITES: ClassVar[tuple[Site, ...]] = (SITE,)
    LOSABLE: ClassVar[bool] = True

    name: Name
    next: Name
    total: int = NUMBERS
    burst: int = 4
    left: int = NUMBERS
    expected: int = 1
    sum: int = 0
    draws: list[int] = field(default_factory=list)
    lost: list[Name] = field(default_factory=list)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        match message:
            case Start():
                self.on_start(out)
            case Told():
                self.on_told(message, sender, out)
            case Done():
                self.on_done(out)
            case TimerFired():
                self.on_timer_fired(out)
            case HostLost():
                self.lost.append(message.name)
            case _:
                assert_never(message)

    def on_start(self, out: Out) -> None:
        """Several at once, so that links carry more than one message."""
        for _ in range(self.burst):
            self.on_done(out)

    def on_told(self, told: Told, sender: Name, out: Out) -> None:
        """Numbers come in order and once; anything else is the live world's bug."""
        assert told.pasid == self.expected, f"{self.name} got {told.pasid}, not {self.expected}"
        self.expected += 1
        self.sum += told.pasid
        if told.pasid % 50 == 0:
            self.draws = [*self.draws[-3:], out.draw(LIMIT)]
            out.set_timer("breath")
        out.send(sender, Done(told.pasid))

    def on_done(self, out: Out) -> None:
        """The next number, unless all are gone."""
        if not self.left or self.next in self.lost:
            return
        number = self.total - self.left + 1
        self.left -= 1
        if number % 10 == 0:
            failed = out.may_fail(SITE)
            out.record(OpFail(number, "pass", failed.value) if failed else OpOk(number, "pass"))
        out.send(self.next, Told("ring", number, 0, 0))

    def on_timer_fired(self, out: Out) -> None:
        """Only seen."""
        out.record(OpOk(0, "breath"))


def ring(total: int = NUMBERS, burst: int = 4) -> dict[Name, Actor]:
    """Each sends to the next; the last to the first."""
    return {
        name: Runner(name, RING[(k + 1) % len(RING)], total, burst, total)
        for k, name in enumerate(RING)
    }


def long_ring() -> dict[Name, Actor]:
    """Long enough for faults in between."""
    return ring(LONG)


def storm() -> dict[Name, Actor]:
    """As many as go, with 256 of each on their way."""
    return ring(STORM, 256)
