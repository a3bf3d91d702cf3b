"""The bank: every known bug, looked for again, and the sound protocol on the same experiments.

A bug is an experiment of `experiments/bugs` that names defects (or a revision) and in
`[expect] violated` what they break.  It is found if most of the seeds find it in time, by a
property that was named, and if the sound protocol violates nothing in as many schedules.
"""

import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from itertools import count
from pathlib import Path
from typing import ClassVar, Final

from msgspec import Struct

from clusters.lineup import SOUND
from clusters.sim.shrink import Aids, ShrinkBudget
from clusters.sim.world import follow
from clusters.workers import Workers
from experiments.harness.aftermath import shortest
from experiments.harness.config import Experiment, load
from experiments.harness.progress import progress
from experiments.harness.reading import EXPERIMENTS, shown
from experiments.harness.result import RESULT_FORMAT, Exit, Status
from experiments.harness.say import Voice, many
from experiments.harness.setup import with_defects
from experiments.harness.shrinking import make_small, makes
from experiments.harness.story import story
from experiments.harness.trials import (
    Limit,
    Sought,
    Subject,
    Trial,
    kept_silent,
    subject_of,
    tried,
)
from protocol.errors import ExperimentError, nearest

BUGS: Final = EXPERIMENTS / "bugs"
SEEDS: Final = 20
SCHEDULES: Final = 20_000
SECONDS: Final = 10.0
PORTION: Final = 20_000
"""Deliveries of the sound protocol that are one job."""
TRIES: Final = 1_000
"""Schedules that are run to make the shortest story shorter."""
SHRINK_SECONDS: Final = 5.0
SUFFIX: Final = ".toml"


class Told(Struct):
    """How far it has come."""

    unit: ClassVar[str] = "tries"

    schedules: int = 0
    missed: int = 0

    def found(self) -> str:
        """What was not found, so far."""
        return f"{self.missed:,} missed"


class BugResult(Struct, frozen=True, kw_only=True):
    """What became of a bug.

    `found` of `seeds` seeds, `by` which properties and strategies how often; `schedules` and
    `seconds` are medians (of a seed that did not find it, where it stopped).  `story`: the steps of
    the shortest counterexample known, of which `told` are in its causal slice.  `silent`: schedules
    in which the sound protocol broke nothing, else `broken` says what it broke.
    `problems` say why it is missed.
    """

    name: str
    title: str
    played: str
    source: str
    expected: tuple[str, ...]
    seeds: int
    found: int
    properties: dict[str, int]
    strategies: dict[str, int]
    schedules: float
    seconds: float
    story: int
    told: int
    silent: int
    deliveries: int
    broken: str
    problems: tuple[str, ...]


class BankResult(Struct, frozen=True, kw_only=True):
    """The bank, and whether every bug in it was found."""

    format: int = RESULT_FORMAT
    verb: str = "bank"
    verdict: Status
    exit_code: int
    reasons: tuple[str, ...]
    bugs: tuple[BugResult, ...]
    counts: dict[str, int]
    seconds: float
    again: str = ""


class Silence(Struct, frozen=True):
    """How long the sound protocol was silent, on how many bugs' experiments.

    `broken`: what it violated where, with the first schedule that did.
    """

    deliveries: int
    schedules: int
    bugs: int
    broken: dict[str, str]
    seconds: float
    interrupted: bool


class Wanted(Struct, frozen=True):
    """What is asked of the bank."""

    seeds: int = SEEDS
    limit: Limit = Limit(SCHEDULES, SECONDS)
    shrink: bool = True


def bugs(names: Sequence[str], defects: Sequence[str] = ()) -> dict[str, Experiment]:
    """The bugs of these names, all if there are none, with these defects more.

    A path to a file of one's own is a name, too.
    """
    there = {path.stem: path for path in sorted(BUGS.glob(f"*{SUFFIX}"))}
    chosen: dict[str, Path] = {} if names else there
    for name in names:
        path = Path(name)
        if name.endswith(SUFFIX):
            chosen[path.stem] = path
        elif name in there:
            chosen[name] = there[name]
        else:
            raise ExperimentError(
                f"'{name}' is not a bug of the bank{nearest(name, there)} (see: pasidlab list bugs)"
            )
    found = {}
    for name, path in chosen.items():
        experiment = with_defects(load(path), defects)
        if not experiment.expect.violated:
            raise ExperimentError(
                f"{shown(path)}: $.expect.violated: a bug says which property it violates"
            )
        if not experiment.defects and experiment.revision == SOUND:
            raise ExperimentError(
                f"{shown(path)}: $.defects is missing: a bug of the bank says which mistake it has"
            )
        found[name] = experiment
    return found


def run(
    named: dict[str, Experiment], wanted: Wanted, crew: AbstractContextManager[Workers],
    voice: Voice,
) -> tuple[list[BugResult], bool]:  # fmt: skip
    """Try each with each seed; the results in order, and whether it was interrupted."""
    subjects = {name: subject_of(one, name) for name, one in named.items()}
    jobs = [(name, seed) for name in named for seed in range(1, wanted.seeds + 1)]
    results: list[BugResult] = []
    told = Told()
    trials: list[Trial] = []
    try:
        with crew as workers, progress(voice, "bank", len(jobs)) as say:
            answers = workers.map(tried, Sought(subjects, wanted.limit), jobs)
            with closing(answers):
                for trial in answers:
                    trials.append(trial)
                    if len(trials) == wanted.seeds:
                        one, subject = named[trial.name], subjects[trial.name]
                        results.append(_concluded(trial.name, one, subject, trials, wanted))
                        told.missed += bool(results[-1].problems)
                        trials = []
                    told.schedules += 1
                    say(told)
    except KeyboardInterrupt:
        return results, True
    return results, False


def silence(
    named: dict[str, Experiment], deliveries: int, crew: AbstractContextManager[Workers],
    voice: Voice,
) -> Silence:  # fmt: skip
    """The sound protocol, over the experiments of all bugs in turn, until enough was delivered."""
    subjects = {name: subject_of(one, name) for name, one in named.items()}
    limit = Limit(sys.maxsize, float("inf"), PORTION)
    done = schedules = 0
    broken: dict[str, Trial] = {}
    told = Told()
    began, interrupted = time.monotonic(), False
    jobs = ((name, seed) for seed in count(1) for name in named)
    sought = Sought(subjects, limit)
    bar = progress(voice, "sound", -(-deliveries // PORTION))
    try:
        with crew as workers, bar as say, closing(workers.map(kept_silent, sought, jobs)) as trials:
            for trial in trials:
                done += trial.deliveries
                schedules += trial.schedules
                if trial.broken:
                    broken.setdefault(f"{trial.name}: {trial.broken}", trial)
                told.schedules, told.missed = done // PORTION, len(broken)
                say(told)
                if done >= deliveries:
                    break
    except KeyboardInterrupt:
        interrupted = True
    orders = {said: f"{one.order.strategy} {one.order.seed:#x}" for said, one in broken.items()}
    seconds = round(time.monotonic() - began, 3)
    return Silence(done, schedules, len(named), orders, seconds, interrupted)


def _concluded(
    name: str, experiment: Experiment, subject: Subject, trials: list[Trial], wanted: Wanted
) -> BugResult:
    hits = [trial for trial in trials if trial.found]
    broken = sorted({trial.broken for trial in trials if trial.broken})
    properties = Counter(trial.found for trial in hits)
    length, told = _shortest(name, experiment, subject, hits) if wanted.shrink and hits else (0, 0)
    seconds = statistics.median(trial.seconds for trial in trials)
    problems = []
    if 2 * len(hits) <= len(trials):
        problems.append(f"found by {len(hits)} of {many(len(trials), 'seed')} only")
    problems += [f"found by {one}" for one in properties if one not in experiment.expect.violated]
    problems += [f"the sound protocol violates {one}" for one in broken]
    return BugResult(
        name=name,
        title=experiment.title,
        played=experiment.lineup.title,
        source=experiment.source,
        expected=experiment.expect.violated,
        seeds=len(trials),
        found=len(hits),
        properties=dict(properties.most_common()),
        strategies=dict(Counter(trial.strategy for trial in hits).most_common()),
        schedules=statistics.median(trial.schedules for trial in trials),
        seconds=round(seconds, 4),
        story=length,
        told=told,
        silent=sum(trial.schedules for trial in trials if not trial.broken),
        deliveries=sum(trial.deliveries for trial in trials if not trial.broken),
        broken=broken[0] if broken else "",
        problems=tuple(problems),
    )


def _shortest(
    name: str, experiment: Experiment, subject: Subject, hits: list[Trial]
) -> tuple[int, int]:
    """The steps of the shortest run that was found, made smaller; and of its slice."""
    best = min(hits, key=lambda trial: (trial.steps, trial.seed))
    result, _ = follow(subject.flawed, best.order)
    if result.tape.loop:
        return result.steps, 0  # It has no end.
    until = time.monotonic() + SHRINK_SECONDS
    budget = ShrinkBudget(TRIES, lambda: time.monotonic() > until)
    make = makes(name, result.tape.strategy)
    small = make_small(experiment, make, result.tape, budget, Aids(None, shortest, None))
    return small.result.steps, len(story(small.records, small.result.violations[0])) - 1


def result_of(
    results: Sequence[BugResult], seconds: float, *, interrupted: bool, again: str
) -> BankResult:
    """The whole, as `--json` has it."""
    missed = [one for one in results if one.problems]
    reasons = tuple(f"{one.name}: {'; '.join(one.problems)}" for one in missed)
    status, code = Status.PASS, Exit.PASS
    if missed:
        status, code = Status.VIOLATION, Exit.VIOLATION
    elif interrupted:
        status, code = Status.INTERRUPTED, Exit.INTERRUPTED
    return BankResult(
        verdict=status,
        exit_code=int(code),
        reasons=reasons,
        bugs=tuple(results),
        counts={
            "bugs": len(results),
            "missed": len(missed),
            "sound_schedules": sum(one.silent for one in results),
            "sound_deliveries": sum(one.deliveries for one in results),
        },
        seconds=round(seconds, 3),
        again=again,
    )
