"""A crash is only a delay: every actor, right after every one of its inputs.

That meets every place where a user of a PASID can die: after a reference is granted and before the
context is written, after that and before the reply, between clearing and put, between a
notification and its work, while a lock is held.
"""

import pytest

from clusters.nemesis import Nemesis
from clusters.sim.replay import replay
from clusters.sim.tape import Begin, Tape
from clusters.sim.world import World
from protocol.history import Record
from protocol.names import Name
from tests.sweep.schedules import Blinking, Struck, actors_of, base_of, told_in
from tests.sweep.scripts import SCRIPTS
from tests.worlds import assert_fine, with_faults

CASES = [(script, actor) for script in SCRIPTS for actor in actors_of(script)]


@pytest.mark.parametrize(("script", "actor"), CASES)
def test_who_comes_back_at_once_goes_on_as_if_nothing_had_been(script: str, actor: Name) -> None:
    """The same deliveries: all actors get, send and state the same, and end in the same state."""
    base = base_of(script)
    setup = with_faults(base.setup, Nemesis("crash", actor))
    history: list[Record] = []
    crashes = Blinking(base.tape, base.places[actor], Begin("crash", actor))
    result = World(setup, crashes, history.append).run()

    assert result.faults == {f"crash {actor}": len(base.places[actor])}
    assert_fine(result, f"{script}: {actor} crashed again and again")
    assert told_in(history) == base.told
    assert result.end == base.tape.end
    result.world.hosts[actor].recover()  # After the last input of all no schedule can strike.


@pytest.mark.parametrize(("script", "actor"), CASES)
def test_who_comes_back_late_was_only_slow(script: str, actor: Name) -> None:
    """Down until nothing else can happen; one who only paused comes to the same end.

    One crash at a time, and from there on another schedule each time.
    """
    base = base_of(script)
    setup = with_faults(base.setup, Nemesis("crash", actor), Nemesis("pause", actor))
    for place in base.places[actor]:
        result = World(setup, Struck(base.tape, place, Begin("crash", actor))).run()

        assert result.faults == {f"crash {actor}": 1}
        assert_fine(result, f"{script}: {actor} crashed at {place}")
        replay(setup, paused_instead(result.tape, place, actor))


def paused_instead(tape: Tape, place: int, actor: Name) -> Tape:
    """The same choices and the same end, but the actor loses nothing."""
    choices = (*tape.choices[:place], Begin("pause", actor), *tape.choices[place + 1 :])
    return Tape(tape.strategy, tape.seed, choices, tape.end)
