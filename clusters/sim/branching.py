"""Schedules that leave a tape: the same up to some choice, and then another way."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct, structs

from clusters.sim.replay import Recorded
from clusters.sim.strategies.plain import Plain
from clusters.sim.strategies.random_walk import RandomWalk
from clusters.sim.tape import Begin, Choice, Deliver, Draw, Fail, Fire, Heal, Tape, words
from clusters.sim.world import World
from protocol.names import Name

SLOTS_MAX: Final = 32
"""How many of the enabled slots a crossing names."""


class Branch:
    """The first `length` choices of a tape exactly, and then a random walk."""

    __slots__ = ("_left", "_recorded", "_walk", "name", "seed")

    def __init__(self, tape: Tape, length: int, walk: RandomWalk) -> None:
        self.name = walk.name
        self.seed = walk.seed
        self._recorded = Recorded(structs.replace(tape, choices=tape.choices[:length]))
        self._walk = walk
        self._left = length or -1
        """Choices of the tape to come; -1: the walk goes on by itself."""

    def choose(self, world: World) -> int:
        if self._left > 0:
            self._left -= 1
            return self._recorded.choose(world)
        self._leave(world)
        return self._walk.choose(world)

    def fails(self, world: World, actor: Name, site: str) -> bool:
        if self._left > 0:
            self._left -= 1
            return self._recorded.fails(world, actor, site)
        self._leave(world, (actor, site))
        return self._walk.fails(world, actor, site)

    def draw(self, world: World, actor: Name, bound: int) -> int:
        if self._left > 0:
            self._left -= 1
            return self._recorded.draw(world, actor, bound)
        self._leave(world)
        return self._walk.draw(world, actor, bound)

    def _leave(self, world: World, asked: tuple[Name, str] | None = None) -> None:
        if self._left == 0:
            self._left = -1
            self._walk.go_on(world, asked)


class Crossing(Struct, frozen=True):
    """A place where a schedule chose: at which step, what it was, and what else there was.

    `messages` are the types of what could be delivered, one for each of `enabled`.  `bound` is that
    of a draw.
    """

    step: int
    choice: Choice
    enabled: tuple[Choice, ...] = ()
    messages: tuple[str, ...] = ()
    bound: int = 0


def crossed(crossing: Crossing, choice: Choice | None = None) -> str:
    """The words for what was chosen, or for `choice`; with its message, if there is one."""
    choice = choice or crossing.choice
    said = words(choice)
    if isinstance(choice, Deliver) and choice in crossing.enabled:
        return f"{said} {crossing.messages[crossing.enabled.index(choice)]}"
    return said


class Surveyed:
    """A tape exactly, and what could have been chosen at each of its choices."""

    __slots__ = ("_recorded", "_tape", "crossings", "name", "seed")

    def __init__(self, tape: Tape) -> None:
        self.name = tape.strategy
        self.seed = tape.seed
        self.crossings: list[Crossing] = []
        self._recorded = Recorded(tape)
        self._tape = tape

    def choose(self, world: World) -> int:
        entry = self._recorded.choose(world)
        network = world.network
        slots = network.enabled[:SLOTS_MAX]
        if entry >= 0 and entry not in slots:
            slots[-1] = entry
        self._note(
            world.step + (entry >= 0),
            enabled=tuple(network.names[slot] for slot in slots),
            messages=tuple(type(network.queues[slot][0][0]).__name__ for slot in slots),
        )
        return entry

    def fails(self, world: World, actor: Name, site: str) -> bool:
        failed = self._recorded.fails(world, actor, site)
        self._note(world.step)
        return failed

    def draw(self, world: World, actor: Name, bound: int) -> int:
        drawn = self._recorded.draw(world, actor, bound)
        self._note(world.step, bound=bound)
        return drawn

    def _note(
        self,
        step: int,
        enabled: tuple[Choice, ...] = (),
        messages: tuple[str, ...] = (),
        bound: int = 0,
    ) -> None:
        choice = self._tape.choices[len(self.crossings)]
        self.crossings.append(Crossing(step, choice, enabled, messages, bound))


class Detour:
    """The first choices of a tape exactly, then `instead`, then on as recorded where that goes.

    What was recorded and is not possible stays wanted until it is; where nothing recorded is
    possible, what could happen first happens first.  `rest` is what is still wanted: without it all
    that follows is plain.  `instead` None: nothing in place of a fault that was recorded there.
    """

    __slots__ = ("_at", "_instead", "_place", "_plain", "_prefix", "_rest", "name", "seed")

    def __init__(self, tape: Tape, place: int, instead: Choice | None, *, plain: bool) -> None:
        self.name = tape.strategy
        self.seed = tape.seed
        self._prefix = Recorded(structs.replace(tape, choices=tape.choices[:place]))
        self._place = place
        self._instead = instead
        self._at = 0
        self._plain = Plain(tape.seed)
        rest = [] if plain else list(tape.choices[place:])
        if rest and (instead is None or not isinstance(instead, Deliver | Fire)):
            rest.pop(0)  # The fault, the draw or the failure that is not made.
        elif instead in rest:
            rest.remove(instead)
        self._rest: list[Choice] = rest

    def choose(self, world: World) -> int:
        enabled = world.network.enabled
        slot = self._plain.first(enabled)
        entry = self._prefix.choose(world) if self._goes() else self._wanted(world, slot)
        if entry >= 0:
            self._plain.serve(entry)
        return entry

    def _goes(self) -> bool:
        """Whether this choice is one of the prefix; and count it."""
        self._at += 1
        return self._at <= self._place

    def _wanted(self, world: World, plain: int) -> int:
        if self._at == self._place + 1 and isinstance(self._instead, Deliver | Fire):
            slot = world.network.find(self._instead)
            assert slot >= 0, "a detour begins with something that is possible"
            return slot
        for index, choice in enumerate(self._rest):
            match choice:
                case Deliver() | Fire():
                    slot = world.network.find(choice)
                    if slot < 0:
                        continue
                    del self._rest[index]
                    return slot
                case Begin(fault, target):
                    possible = world.faults.possible(fault, target) and not world.final
                case Heal(fault, target):
                    possible = (fault, target) in world.faults.active
                case _:
                    continue
            if possible:
                del self._rest[index]
                return world.book.entry(choice)
        return plain

    def fails(self, world: World, actor: Name, site: str) -> bool:
        if self._goes():
            return self._prefix.fails(world, actor, site)
        if self._at == self._place + 1 and isinstance(self._instead, Fail):
            return self._instead.failed
        wanted = self._next(lambda choice: choice in _answers(actor, site))
        return isinstance(wanted, Fail) and wanted.failed

    def draw(self, world: World, actor: Name, bound: int) -> int:
        if self._goes():
            return self._prefix.draw(world, actor, bound)
        if self._at == self._place + 1 and isinstance(self._instead, Draw):
            return self._instead.value
        wanted = self._next(lambda choice: isinstance(choice, Draw) and choice.actor == actor)
        if isinstance(wanted, Draw) and wanted.value < bound:
            return wanted.value
        return self._plain.draw(actor, bound)

    def _next(self, wanted: Callable[[Choice], bool]) -> Choice | None:
        for index, choice in enumerate(self._rest):
            if wanted(choice):
                return self._rest.pop(index)
        return None


def _answers(actor: Name, site: str) -> tuple[Fail, Fail]:
    return Fail(actor, site, failed=False), Fail(actor, site, failed=True)
