"""Directed runs and retold ones, without Ray: hosts as objects, calls as lists."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec import structs

from clusters.live import director
from clusters.live.course import Course, Step, course_of
from clusters.live.director import Director, Followed
from clusters.live.faults import Faults
from clusters.live.gate import Handled, Held
from clusters.live.retelling import retold
from clusters.live.supervisor import HostView, Supervisor
from clusters.nemesis import Nemesis
from clusters.sim.replay import retrace
from clusters.sim.tape import Tape
from clusters.sim.world import Setup, simulate
from protocol.errors import ExperimentError
from protocol.machine import Machine
from protocol.messages import Start
from tests.live.toys import RING, ring
from tests.live.without_ray import EACH, TWO_HOSTS, Wire, started

LOSE = Nemesis("lose", "c")
SETUP = Setup(Machine((), (), ()), cast=ring, nemeses=(LOSE,))
STEPS = 400


def closed(folder: Path, placement: dict[str, str]) -> Wire:
    """Everybody has been sent a `Start`, and nothing is released."""
    wire = Wire(folder, placement)
    for live in wire.hosts.values():
        live.mail.gate = Held()
    for actor in RING:
        wire.say(actor, Start())
    return wire


def steps(seed: int = 3) -> list[Step]:
    setup = replace(SETUP, nemeses=())
    course = course_of(setup, simulate(setup, seed).tape, "here")
    return [mark for mark in course.marks if isinstance(mark, Step)][:STEPS]


@pytest.mark.long
@pytest.mark.parametrize("placement", [TWO_HOSTS, EACH, dict.fromkeys(RING, "all")])
def test_hosts_hand_out_what_is_released_and_nothing_else_also_when_they_are_killed(
    tmp_path: Path, placement: dict[str, str]
) -> None:
    wire = closed(tmp_path, placement)
    for at, step in enumerate(steps()):
        home = placement[step.ticket.actor]
        handled = None
        while handled is None:
            handled = wire.hosts[home].release(step.ticket)
            if handled is None:
                wire.step()
        assert handled == Handled(step.digest), step
        assert wire.hosts[home].release(step.ticket) == handled  # Asked again it is only told.
        if at in (50, 120, 121, 250):
            wire.crash(home).mail.gate = Held()
    assert sum(sum(live.status().inputs.values()) for live in wire.hosts.values()) == STEPS


@pytest.mark.long
@pytest.mark.parametrize("placement", [TWO_HOSTS, EACH])
def test_what_happened_on_hosts_is_a_schedule_with_the_same_end(
    tmp_path: Path, placement: dict[str, str]
) -> None:
    wire = started(tmp_path, placement, 5)
    for _ in range(40):
        wire.step()
    wire.crash(placement["b"])
    for _ in range(60):
        wire.step()
    wire.lose("c")
    wire.run()
    states = {n: h.state_hash() for live in wire.hosts.values() for n, h in live.hosts.items()}
    told = retold(wire.finish(), 5, ())
    assert told.quiet
    result = retrace(SETUP, told.tape, quiet=True)
    assert result.quiet
    assert result.faults == {"lose c": 1}
    assert {n: result.world.hosts[n].state_hash() for n in states} == states


@pytest.mark.long
def test_a_run_that_was_cut_off_is_retold_as_far_as_it_came(tmp_path: Path) -> None:
    wire = started(tmp_path, TWO_HOSTS, 5)
    for _ in range(60):
        wire.step()
    told = retold(wire.finish(quiet=False), 5, ())
    assert not told.quiet
    result = retrace(SETUP, told.tape, quiet=False)
    assert not result.quiet
    inputs = sum(sum(live.status().inputs.values()) for live in wire.hosts.values())
    assert result.steps == inputs


def test_err_a_schedule_that_goes_round_for_ever_cannot_be_followed() -> None:
    with pytest.raises(ExperimentError, match=r"ce-1.json: goes round for ever"):
        course_of(SETUP, Tape("random", 1, loop=2), "ce-1.json")


class Scripted(Director):
    """Hosts that answer as a test says: for each step of the course, what its host says."""

    def __init__(self, course: Course, answers: Callable[[Step], Handled | None]) -> None:
        view = SimpleNamespace(name="left", suffers="")
        supervisor = SimpleNamespace(home=lambda _: view, step=lambda: None, running=[view])
        nobody = cast("Faults", None)
        super().__init__(cast("Supervisor", supervisor), nobody, course, lambda: None)
        self.answers = answers

    def _ask(self, _view: HostView, step: Step) -> Handled | None:
        return self.answers(step)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (Handled(b"?"), "it has other effects than in the simulator"),
        (Handled(b"", "a asks for a number: no answer"), "a asks for a number: no answer"),
        (None, "it did not come within 0 s"),
    ],
)
def test_err_where_a_host_strays_is_said_with_step_message_and_host(
    odd: Handled | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(director, "PATIENCE_SECONDS", 0.0)
    marks = tuple(steps()[:30])
    course = Course(marks, quiet=False, violated="", nemesis=())
    followed = Scripted(course, lambda one: Handled(one.digest)).follow()
    assert followed == Followed(30, 30, "")
    assert followed.whole

    bad = marks[20]
    followed = Scripted(course, lambda one: odd if one is bad else Handled(one.digest)).follow()
    assert not followed.whole
    assert followed == structs.replace(followed, steps=20, of=30)
    ticket = bad.ticket
    where = f"step 21 ({ticket.source} -> {ticket.actor} {bad.message}), host left: "
    assert followed.divergence == where + said
