"""A schedule in the form in which it is made smaller, and how a world follows it without complaint.

A draft says less than a tape: what is in it happens if it can, what cannot is skipped, and what is
not in it is the plainest there is.  So anything may be taken out of a draft, and it still is one.
The tape of what really happened is what counts in the end.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from clusters.links import renamed as renamed_link
from clusters.moments import Moment
from clusters.sim.strategies.plain import Plain
from clusters.sim.tape import Begin, Choice, Deliver, Draw, Fail, Fire, Heal, Tape
from clusters.sim.world import World
from protocol.names import Name

Act: TypeAlias = Deliver | Fire | Begin | Heal
Answer: TypeAlias = Draw | Fail

NOBODY: Final = ""
"""An actor that there is in no world."""


class Move(Struct, frozen=True):
    """One choice (None: the plain one), and what chance said while it was carried out."""

    act: Act | None
    said: tuple[Answer, ...] = ()


class Draft(Struct, frozen=True):
    """`start` is what chance said while all actors started; after the moves all is plain."""

    start: tuple[Answer, ...] = ()
    moves: tuple[Move, ...] = ()


class TooLongError(Exception):
    """A candidate had its deliveries and violated nothing; the run is given up, as no result."""


def draft_of(tape: Tape) -> Draft:
    """All that a tape says."""
    start: list[Answer] = []
    acts: list[Act] = []
    said: list[list[Answer]] = []
    for choice in tape.choices:
        match choice:
            case Draw() | Fail():
                (said[-1] if said else start).append(choice)
            case _:
                acts.append(choice)
                said.append([])
    moves = [Move(act, tuple(answers)) for act, answers in zip(acts, said, strict=True)]
    return Draft(tuple(start), tuple(moves))


def renamed(draft: Draft, names: Mapping[Name, Name]) -> Draft:
    """The same draft where some actors are called otherwise.

    Who had a name that goes to somebody else is there no more: what he did cannot happen.
    """
    if not names:
        return draft
    called = {**dict.fromkeys(names.values(), NOBODY), **names}

    def one(text: str) -> str:
        return renamed_link(text, lambda end: called.get(end, end))

    return Draft(
        tuple([_answer(answer, one) for answer in draft.start]),
        tuple(
            [
                Move(_act(move.act, one), tuple([_answer(answer, one) for answer in move.said]))
                for move in draft.moves
            ]
        ),
    )


def _act(act: Act | None, one: Callable[[str], str]) -> Act | None:
    match act:
        case Deliver(source, destination):
            return Deliver(one(source), one(destination))
        case Fire(actor, timer):
            return Fire(one(actor), timer)
        case Begin(fault, target):
            return Begin(fault, one(target))
        case Heal(fault, target):
            return Heal(fault, one(target))
        case None:
            return None


def _answer(answer: Answer, one: Callable[[str], str]) -> Answer:
    match answer:
        case Draw(actor, value):
            return Draw(one(actor), value)
        case Fail(actor, site, failed):
            return Fail(one(actor), site, failed)


class Lenient:
    """A strategy that follows a draft, and notes what became of it.

    `delays` are the choices at which a message was held back against the plain schedule, as often
    as that took; `faults` with the step at which each began or ended.  Per move that was made,
    `passed` is which input of whom it was (None: a fault), and `instead` what the plain schedule
    would have done (None: the same).  At `steps_max` deliveries it gives up.
    """

    __slots__ = (
        "_at", "_choices", "_draft", "_last", "_plain", "_said", "_steps_max",
        "delays", "faults", "instead", "name", "passed", "seed",
    )  # fmt: skip

    def __init__(self, tape: Tape, draft: Draft, steps_max: int) -> None:
        self.name = tape.strategy
        self.seed = tape.seed
        self._draft = draft
        self._steps_max = steps_max
        self._at = 0
        self._choices = 0
        self._plain = Plain(tape.seed)
        self._last = -1
        """From where the last delivery was, whose moment is not noted yet."""
        self._said: list[Answer] = [*draft.start]
        self.delays: list[int] = []
        self.faults: list[tuple[int, Begin | Heal]] = []
        self.passed: list[Moment | None] = []
        self.instead: list[Choice | None] = []

    def choose(self, world: World) -> int:
        if world.step >= self._steps_max:
            raise TooLongError
        self.note(world)
        enabled = world.network.enabled
        slot = -1
        moves = self._draft.moves
        while self._at < len(moves) and slot < 0:
            move = moves[self._at]
            self._at += 1
            self._said = [*move.said]
            match move.act:
                case None:
                    break
                case Deliver() | Fire():
                    slot = world.network.find(move.act)
                case fault if _possible(world, fault):
                    self.passed.append(None)
                    self.instead.append(None)
                    self.faults.append((world.step, fault))
                    return world.book.entry(fault)
                case _:
                    pass
        else:
            if slot < 0:
                self._said = []
        plain = self._plain
        first = plain.first(enabled)
        if slot < 0:
            slot = first
        self.instead.append(None if first == slot else world.network.names[first])
        while first != slot:
            plain.hold(first)
            self.delays.append(self._choices)
            first = plain.first(enabled)
        self._choices += len(enabled) > 1
        plain.serve(slot)
        self._last = slot
        return slot

    def note(self, world: World) -> None:
        """What the last delivery was; asked once more when the run is over."""
        if self._last >= 0:
            self.passed.append(world.network.receivers[self._last].moment)
            self._last = -1

    def fails(self, world: World, actor: Name, site: str) -> bool:
        for k, answer in enumerate(self._said):
            if isinstance(answer, Fail) and (answer.actor, answer.site) == (actor, site):
                del self._said[k]
                return answer.failed
        return False

    def draw(self, world: World, actor: Name, bound: int) -> int:
        for k, answer in enumerate(self._said):
            if isinstance(answer, Draw) and answer.actor == actor:
                del self._said[k]
                return min(answer.value, bound - 1)
        return 0


def _possible(world: World, fault: Begin | Heal) -> bool:
    if isinstance(fault, Begin):
        return world.faults.possible(fault.fault, fault.target)
    return (fault.fault, fault.target) in world.faults.active
