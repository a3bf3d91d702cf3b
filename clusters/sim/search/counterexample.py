"""A path of a search as a tape that a `World` replays: the same choices, by their names."""

from collections.abc import Sequence
from typing import Final

from clusters.sim.search.space import Key, Label
from clusters.sim.search.world_space import WorldSpace
from clusters.sim.tape import Choice, Draw, Fail, Tape, words
from clusters.sim.world import Setup
from protocol.errors import DivergedError

SEED: Final = 0
"""A search draws nothing."""


def choices_of(
    space: WorldSpace, labels: Sequence[Label], *, boot: bool = True
) -> tuple[Choice, ...]:
    """All choices from the first after every `Start`: those of the boot, then those of a path."""
    spoken = space.inputs.labels.choices
    first = space.boot if boot else ()
    return tuple(choice for label in (*first, *labels) for choice in spoken[label])


def tape_of(
    name: str, space: WorldSpace, labels: Sequence[Label], around: Sequence[Label] = ()
) -> Tape:
    """The tape of a path; `name` is the strategy that found it.

    `around`: the moves after it that lead back to its last state, and so can go on for ever.
    """
    choices = choices_of(space, labels)
    loop = choices_of(space, around, boot=False)
    return Tape(name, SEED, (*choices, *loop), loop=len(loop))


def keys_of(setup: Setup, tape: Tape) -> tuple[Key, Key]:
    """The states before and after the loop of a tape, as a search tells states apart."""
    space = WorldSpace(setup)
    state = space.initial()
    keys: list[Key] = [space.key(state)]
    ends: list[int] = [0]
    while ends[-1] < len(tape.choices):
        done = ends[-1]
        for label, key, step in space.moves(state):
            choices = space.inputs.labels.choices[label]
            if tape.choices[done : done + len(choices)] == choices and _whole(tape, done, choices):
                state = space.after(state, step)
                keys.append(key)
                ends.append(done + len(choices))
                break
        else:
            raise DivergedError(f"diverged at choice {done + 1}: {words(tape.choices[done])}")
    return keys[ends.index(len(tape.choices) - tape.loop)], keys[-1]


def _whole(tape: Tape, done: int, choices: tuple[Choice, ...]) -> bool:
    """Whether nothing that chance said belongs to it, too."""
    following = tape.choices[done + len(choices) :][:1]
    return not any(isinstance(choice, Draw | Fail) for choice in following)
