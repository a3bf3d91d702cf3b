"""How much of the model a live run has visited: its inputs walk through the simulator's search."""

import time
from dataclasses import replace
from pathlib import Path

from msgspec import Struct

from clusters.live.reexecute import JOURNALS
from clusters.live.retelling import Retold, retold
from clusters.sim.search.visited import Near, Part, Visited, visited
from clusters.sim.tape import Choice, Draw
from experiments.harness.config import Experiment, load
from experiments.harness.finding import find_run
from experiments.harness.found_live import simulated
from experiments.harness.reading import shown
from experiments.harness.say import Voice, columns, many
from experiments.harness.setup import setup_of
from experiments.harness.smaller import scripted
from experiments.harness.store import EXPERIMENT
from protocol.errors import ExperimentError


class PartResult(Struct, frozen=True):
    """How many the run visited, of how many the search knows."""

    visited: int
    of: int


class NearResult(Struct, frozen=True):
    """A race that the run did not visit: so many moves off it, behind its step `step`."""

    actor: str
    first: str
    second: str
    step: int
    distance: int


class Coverage(Struct, frozen=True, kw_only=True):
    """The object of --json.

    `whole`: the search came to its end; else it went `distance` moves off the run.  `left`: the
    step at which the run could not be walked on; 0: it was to its end.
    """

    verb: str = "coverage"
    run: str
    title: str
    revision: str
    steps: int
    left: int
    whole: bool
    distance: int
    states: PartResult
    actor_states: PartResult
    races: PartResult
    nearest: tuple[NearResult, ...]
    seconds: float


def coverage(what: str, states: int, runs: Path, voice: Voice) -> int:
    """Say it; always 0: nothing is judged."""
    began = time.monotonic()
    folder = find_run(what, runs)
    if not (folder / JOURNALS).is_dir():
        raise ExperimentError(f"{shown(folder)}: not a live run: it has no {JOURNALS}/")
    experiment = load(folder / EXPERIMENT)
    found = _visited(experiment, folder, states)
    result = Coverage(
        run=shown(folder),
        title=experiment.title,
        revision=experiment.lineup.title,
        steps=found.steps,
        left=found.left,
        whole=found.whole,
        distance=found.distance,
        states=_part(found.states),
        actor_states=_part(found.locals),
        races=_part(found.races),
        nearest=tuple(
            NearResult(near.race.actor, near.race.first, near.race.second, near.step, near.distance)
            for near in found.nearest
        ),
        seconds=round(time.monotonic() - began, 3),
    )
    voice.object(result)
    _say(result, found, voice)
    return 0


def _visited(experiment: Experiment, folder: Path, states: int) -> Visited:
    """What the guests drew is given, as their script: the search is about orders only."""
    where = shown(folder / EXPERIMENT)
    sites = {nemesis.site for nemesis in experiment.nemesis if nemesis.site}
    told = retold(folder, 0, sites)
    experiment = simulated(experiment, told)
    choices: tuple[Choice, ...] = told.tape.choices
    if experiment.guests.operations:
        experiment, choices = _as_script(experiment, told, where)
    return visited(setup_of(experiment, where), choices, states)


def _as_script(
    experiment: Experiment, told: Retold, where: str
) -> tuple[Experiment, tuple[Choice, ...]]:
    """The experiment in which the guests do what they drew, and the run without those draws."""
    if not told.quiet:
        raise ExperimentError(
            f"{where}: the guests draw what they do, and this run was cut off before they had done"
            " it; coverage wants one that came to its end, or a script"
        )
    setup = replace(setup_of(experiment, where), properties=())  # None of them ends it early.
    guests = [name for name, plan in setup.plans.items() if plan.operations]
    choices = tuple(
        choice
        for choice in told.tape.choices
        if not (isinstance(choice, Draw) and choice.actor in guests)
    )
    return next(iter(scripted(experiment, setup, told.tape))), choices


def _part(part: Part) -> PartResult:
    return PartResult(part.visited, part.of)


def _say(result: Coverage, found: Visited, voice: Voice) -> None:
    voice.answer(f"{Path(result.run).parent.name}  revision {result.revision}  {result.run}")
    voice.keyed("run", f"{many(result.steps, 'step')} walked through the simulator's search")
    if result.left:
        voice.keyed("", f"it could not be walked on at step {result.left:,}")
    searched = many(result.states.of, "state")
    if result.whole:
        voice.keyed("searched", f"all {searched} that can be reached")
    else:
        far = many(result.distance, "move")
        voice.keyed("searched", f"{searched}, up to {far} off the run; there are more")
    for key, part, what in (
        ("states", result.states, "states of the whole world"),
        ("actors", result.actor_states, "states of single actors"),
        ("races", result.races, "orders in which two messages that waited for one actor came"),
    ):
        share = 100 * part.visited / max(part.of, 1)
        voice.keyed(key, f"{share:5.1f}%  {part.visited:,} of {part.of:,} {what}")
    if found.nearest:
        voice.answer()
        voice.answer("nearest that it did not visit")
        for line in columns([_row(near) for near in found.nearest]):
            voice.answer(line)


def _row(near: Near) -> tuple[str, str]:
    off = f", {many(near.distance, 'move')} off" if near.distance else ""
    return near.race.words, f"behind step {near.step:,}{off}"
