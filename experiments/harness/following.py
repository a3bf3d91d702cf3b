"""`chaos --follow`: a schedule of the simulator, on live hosts that hand out nothing else."""

from dataclasses import replace
from pathlib import Path

from clusters.live.course import Course, course_of
from experiments.harness.living import (
    How,
    Outcome,
    conclude,
    done_live,
    live_setup,
    refuse_loose,
)
from experiments.harness.replaying import Schedule
from experiments.harness.running import command
from experiments.harness.say import Voice, many
from experiments.harness.setup import setup_of
from experiments.harness.store import Run
from protocol.errors import DivergedError


def follow(given: Schedule, runs: Path, how: How, voice: Voice) -> int:
    """One directed run; its exit code."""
    experiment, where = given.experiment, given.where
    refuse_loose(experiment, where)
    course = _course(given)
    name = _name(given)
    run = Run(runs, name, given.tape.seed)
    run.write_experiment(experiment)
    setup = replace(
        live_setup(experiment, where, run, how),
        nemesis=course.nemesis,
        placement="each" if course.strikes else experiment.live.placement,
        course=course,
    )
    revision = experiment.lineup.title
    voice.answer(f"{name}  revision {revision}  {many(course.steps, 'step')} to follow  live")
    result = done_live(setup, where, run, voice)
    again = command("chaos", "--follow", *given.words)
    concluded = conclude(setup, where, run, Outcome(result, again=again), voice)
    voice.object(concluded)
    return concluded.exit_code


def _course(given: Schedule) -> Course:
    """What the schedule does; it must be what was recorded, before any host begins."""
    course = course_of(setup_of(given.experiment, given.where), given.tape, given.words[0])
    wanted = given.origin.property if given.origin is not None else ""
    if wanted and wanted != course.violated:
        raise DivergedError(
            f"diverged at the end: the recording violated {wanted},"
            f" now {course.violated or 'nothing'} is violated"
        )
    return course


def _name(given: Schedule) -> str:
    """The name of the experiment: of a counterexample in a run folder, that of the folder's."""
    if given.file is None:
        return Path(given.where).stem
    folder = given.file.resolve().parent
    return folder.parent.name if (folder / "result.json").is_file() else given.file.stem
