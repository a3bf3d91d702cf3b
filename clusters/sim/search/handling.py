"""What an input does to an actor: each (state, input) is run once, and remembered.

Where a handler asks chance, every answer is a case of its own.  So is a fallible step that the
fault plan lets fail.  With exchanged names the handler has to do the same, up to the names; if it
does not, identities leak, and there is no symmetry to rely on (`LeakError`).
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias, cast

from msgspec import Struct

from clusters.cluster import Actor
from clusters.sim.search.components import Parts
from clusters.sim.search.frozen import Renaming, freeze, in_order, plain, thaw, unplain
from protocol.effects import Out, Send
from protocol.errors import ExperimentError
from protocol.facts import Event, SiteFailed
from protocol.messages import AnyMessage
from protocol.names import Name

CASES_MAX: Final = 4096
"""Answers of chance in one input that are told apart."""


class LeakError(Exception):
    """Something does not treat two names alike; it is said by name."""


class Case(Struct, frozen=True):
    """What one input can do: by the answers of chance, the actor after it, and what left it.

    `sent`: to whom which message; to itself under the name of a timer, without a message.
    `effect` are the bytes of all that left it.
    """

    answers: tuple["Answer", ...]
    after: bytes
    sent: tuple[tuple[Name, AnyMessage | None, str], ...]
    facts: tuple[Event, ...]
    effect: bytes


class Answer(Struct, frozen=True):
    """`site`: whether it failed (1); without a site, the number that was drawn."""

    value: int
    site: str = ""


class Passage(NamedTuple):
    """An actor has passed a fallible step, and it `failed` or not."""

    actor: Name
    site: str
    failed: bool


class Script:
    """Chance that first says what it is told and then the plainest; `asked` has what it said."""

    __slots__ = ("_said", "_watched", "asked", "bounds", "facts")

    def __init__(self, said: Sequence[int], watched: Callable[[Name, str], int]) -> None:
        self._said = said
        self._watched = watched
        self.asked: list[Answer] = []
        self.bounds: list[int] = []
        self.facts: list[Event] = []

    def fails(self, actor: Name, site: str) -> bool:
        answers = self._watched(actor, site)
        if not answers:
            return False
        failed = self._next(answers, site) == 1
        if failed:
            self.facts.append(SiteFailed(site))
        return failed

    def draw(self, actor: Name, bound: int) -> int:
        return 0 if bound == 1 else self._next(bound, "")

    def _next(self, bound: int, site: str) -> int:
        at = len(self.asked)
        value = self._said[at] if at < len(self._said) else 0
        self.asked.append(Answer(value, site))
        self.bounds.append(bound)
        return value

    def following(self) -> list[int] | None:
        """What to say for the next case; None: these were all."""
        said = [answer.value for answer in self.asked]
        while said:
            if said[-1] + 1 < self.bounds[len(said) - 1]:
                return [*said[:-1], said[-1] + 1]
            said.pop()
        return None


Handle: TypeAlias = Callable[[AnyMessage, Name, Out], None]


class Handling:
    """Runs handlers.  `watched` says how many answers there are to whether a step fails."""

    __slots__ = ("_exchanges", "_watched")

    def __init__(self, parts: Parts, watched: Callable[[Name, str], int]) -> None:
        self._exchanges = parts.exchanges
        self._watched = watched

    def cases(
        self, name: Name, actor: bytes, message: AnyMessage, sender: Name
    ) -> tuple[Case, ...]:
        """All that the input can do, in the order of chance's answers; no two do the same."""
        found = self._run(name, actor, message, sender)
        for exchange in self._exchanges:
            self._compare(exchange, (name, actor, message, sender), found)
        return found

    def _run(self, name: Name, actor: bytes, message: AnyMessage, sender: Name) -> tuple[Case, ...]:
        found: dict[tuple[bytes, bytes], Case] = {}
        said: list[int] | None = []
        for _ in range(CASES_MAX):
            if said is None:
                return tuple(found.values())
            script = Script(said, self._watched)
            case = self._once((name, actor, message, sender), script)
            found.setdefault((case.after, case.effect), case)
            said = script.following()
        raise ExperimentError(
            f"one input of {name} draws more than {CASES_MAX:,} different answers; a search tries"
            " them all: give it fewer operations (--set guests.operations=2), or a script"
        )

    def _once(self, given: tuple[Name, bytes, AnyMessage, Name], script: Script) -> Case:
        name, frozen, message, sender = given
        actor = cast("Actor", thaw(frozen))
        out = Out(name, script)
        script.facts = cast("list[Event]", out.facts)
        cast("Handle", actor.handle)(message, sender, out)
        sent: list[tuple[Name, AnyMessage | None, str]] = [
            (effect.to, effect.message, "")
            if isinstance(effect, Send)
            else (name, None, effect.timer)
            for effect in out.effects
        ]
        failed = [answer.site for answer in script.asked if answer.site and answer.value]
        return Case(
            answers=tuple(script.asked),
            after=freeze(actor),
            sent=tuple(sent),
            facts=tuple(script.facts),
            effect=freeze((sent, script.facts, failed)),
        )

    def _compare(
        self,
        exchange: Renaming,
        given: tuple[Name, bytes, AnyMessage, Name],
        found: tuple[Case, ...],
    ) -> None:
        name, actor, message, sender = given
        others = self._run(
            exchange.word(name),
            exchange.frozen(actor, ordered=False),
            cast("AnyMessage", unplain(exchange.plain(plain(message)))),
            exchange.word(sender),
        )
        ours = [
            (exchange.frozen(case.after, ordered=False), exchange.frozen(case.effect))
            for case in found
        ]
        if sorted(ours) != sorted([(in_order(case.after), case.effect) for case in others]):
            raise LeakError(f"{name} does not treat {exchange} alike: {type(message).__name__}")
