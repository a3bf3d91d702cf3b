"""The one door through which anything leaves an actor (§1.3).

A handler gets an `Out`, sends and records through it, and asks it for what it may not know itself:
whether a fallible step fails, and a number to choose by.  Whoever runs the actor reads `effects`
and `facts` afterwards; nothing happens before.
"""

from typing import Final, Protocol

from msgspec import Struct

from protocol.errors import Errno
from protocol.facts import Fact
from protocol.messages import AnyMessage
from protocol.names import Name


class Send(Struct, frozen=True, array_like=True, tag="s", gc=False):
    """A message to another actor."""

    to: Name
    message: AnyMessage


class SetTimer(Struct, frozen=True, array_like=True, tag="t", gc=False):
    """Ask for one `TimerFired(timer)` later; when, only the world decides."""

    timer: str


Effect = Send | SetTimer


class Site(Struct, frozen=True):
    """A fallible step of an actor, named `actor.operation.what`, and the errno the kernel gives."""

    name: str
    errno: Errno


class Chance(Protocol):
    """Where the answers to `may_fail` and `draw` come from: a schedule, a journal, a test."""

    def fails(self, actor: Name, site: str) -> bool:
        """Whether this passage of a fallible step fails."""

    def draw(self, actor: Name, bound: int) -> int:
        """A number in [0, bound); 0 is the plainest."""


class Calm:
    """Nothing fails, every draw is the plainest."""

    def fails(self, actor: Name, site: str) -> bool:
        return False

    def draw(self, actor: Name, bound: int) -> int:
        return 0


CALM: Final = Calm()


class Out:
    """Effects and facts of one input, in order; `answers` are what chance said, for the journal."""

    __slots__ = ("actor", "answers", "chance", "effects", "facts")

    def __init__(self, actor: Name, chance: Chance = CALM) -> None:
        self.actor = actor
        self.chance = chance
        self.effects: list[Effect] = []
        self.facts: list[Fact] = []
        self.answers: list[int] = []

    def send(self, to: Name, message: AnyMessage) -> None:
        """Send a message; on reliable links it arrives exactly once, in order per link."""
        self.effects.append(Send(to, message))

    def set_timer(self, timer: str) -> None:
        """Have `TimerFired(timer)` delivered some time later."""
        self.effects.append(SetTimer(timer))

    def record(self, fact: Fact) -> None:
        """State a fact for the history; the host stamps actor, input and cause."""
        self.facts.append(fact)

    def may_fail(self, site: Site) -> Errno | None:
        """The errno with which this fallible step fails now, or None.  Asked once per passage."""
        failed = self.chance.fails(self.actor, site.name)
        self.answers.append(int(failed))
        return site.errno if failed else None

    def draw(self, bound: int) -> int:
        """A choice among `bound` things, as a number in [0, bound)."""
        drawn = self.chance.draw(self.actor, bound)
        assert 0 <= drawn < bound, f"draw {drawn} is not in [0, {bound})"
        self.answers.append(drawn)
        return drawn
