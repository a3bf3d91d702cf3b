"""`show`: a bug of the bank, or a counterexample that was kept, as a story that others can read."""

from pathlib import Path

from msgspec import Struct

from clusters.judge import Violation
from clusters.sim.replay import replay
from clusters.sim.shrink import Aids, ShrinkBudget
from clusters.sim.strategies import campaign
from clusters.sim.world import follow
from experiments.harness.aftermath import shortest
from experiments.harness.banking import BUGS, SUFFIX, bugs
from experiments.harness.config import Experiment
from experiments.harness.finding import find_file
from experiments.harness.interleaving import Moment, interleaved, moments, numbered
from experiments.harness.reading import shown
from experiments.harness.replaying import schedule
from experiments.harness.result import RESULT_FORMAT
from experiments.harness.running import command
from experiments.harness.say import Voice
from experiments.harness.setup import setup_of
from experiments.harness.shrinking import make_small, makes
from experiments.harness.trials import subject_of
from protocol.errors import ExperimentError, nearest
from protocol.history import Record

SEED = 1
TRIES = 2_000
SCHEDULES_MAX = 20_000


class Story(Struct, frozen=True):
    """What is shown: an experiment, what is violated in it, and how it comes to that."""

    where: str
    experiment: Experiment
    violation: Violation
    records: list[Record]
    again: str

    def moments(self) -> list[Moment]:
        """What is told."""
        return moments(self.records, self.violation)


class StoryResult(Struct, frozen=True, kw_only=True):
    """A story, as --json has it."""

    format: int = RESULT_FORMAT
    verb: str = "show"
    experiment: str
    title: str
    source: str
    revision: str
    property: str
    message: str
    moments: tuple[Moment, ...]
    mail: tuple[str, ...]
    again: str


def story_of(what: str, runs: Path) -> Story:
    """The story of a bug, of a run folder or of a counterexample file."""
    there = [path.stem for path in sorted(BUGS.glob(f"*{SUFFIX}"))]
    if what in there or (what.endswith(SUFFIX) and Path(what).is_file()):
        return of_bug(what)
    if not (find_file(what, runs) or Path(what).exists() or (runs / what).exists()):
        raise ExperimentError(
            f"'{what}' is neither a bug{nearest(what, there)} (see: pasidlab list bugs) nor a run"
            " or a counterexample file"
        )
    given = schedule(what, None, runs, "show")
    setup = setup_of(given.experiment, given.where)
    records: list[Record] = []
    result = replay(setup, given.tape, records.append)
    if not result.violations:
        raise ExperimentError(f"{given.where}: this schedule violates nothing")
    again = command("replay", *given.words)
    return Story(given.where, given.experiment, result.violations[0], records, again)


def of_bug(what: str) -> Story:
    """Look for it with the default strategies, and make what is found small: always the same."""
    ((name, experiment),) = bugs([what]).items()
    subject = subject_of(experiment, name)
    path = Path(what) if what.endswith(SUFFIX) else BUGS / f"{name}{SUFFIX}"
    again = command("explore", shown(path), "--seed", str(SEED))
    made, done = campaign(subject.strategy, SEED, subject.depth), 0
    while done < SCHEDULES_MAX:
        for order in made.round():
            records: list[Record] = []
            result, lesson = follow(subject.flawed, order, records.append)
            made.learn(order, lesson)
            done += 1
            if not result.violations:
                continue
            if result.tape.loop:
                return Story(shown(path), experiment, result.violations[0], records, again)
            aids = Aids(None, shortest, None)
            make = makes(name, result.tape.strategy)
            budget = ShrinkBudget(TRIES, lambda: False)
            small = make_small(experiment, make, result.tape, budget, aids)
            violation = small.result.violations[0]
            return Story(shown(path), experiment, violation, small.records, again)
    raise ExperimentError(f"{shown(path)}: nothing is violated in {done:,} schedules")


def show(story: Story, voice: Voice, *, mail: bool) -> int:
    """Say it."""
    experiment, violation = story.experiment, story.violation
    found = story.moments()
    drawn = interleaved(found, violation.sentence)
    voice.object(
        StoryResult(
            experiment=story.where,
            title=experiment.title,
            source=experiment.source,
            revision=experiment.lineup.title,
            property=violation.property,
            message=violation.sentence,
            moments=tuple(found),
            mail=tuple(drawn),
            again=story.again,
        )
    )
    if mail:
        for line in drawn:
            voice.answer(line)
        return 0
    voice.title(experiment.title)
    voice.keyed("source", experiment.source or "-")
    voice.keyed("played", experiment.lineup.title)
    voice.keyed("violates", violation.property)
    voice.answer()
    for line in numbered(found, violation.sentence):
        voice.row(line)
    voice.answer()
    voice.keyed("again", story.again)
    return 0
