"""Revisions side by side: the same experiment and the same seeds, and what became of each.

`compare` makes the table; `explore --bisect-revisions` says where along the published revisions a
property was broken or mended.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar, Final

from msgspec import Struct, structs

from clusters.lineup import SOUND, Lineup, about, check_played, plays, revisions, stack_of, touches
from clusters.sim.strategies import Lesson, Order, campaign, prepared
from clusters.sim.world import Setup
from clusters.workers import Workers
from experiments.harness.config import Experiment
from experiments.harness.measures import Measures, measured
from experiments.harness.progress import progress
from experiments.harness.result import RESULT_FORMAT, Status
from experiments.harness.say import Voice, many
from experiments.harness.setup import properties_of, setup_of
from protocol.errors import ExperimentError, nearest
from protocol.properties.property import Kind

SCHEDULES: Final = 200
MAINLINE: Final = "linux-"
PORTION: Final = 25
"""Schedules that are one job."""


class Broken(Struct, frozen=True):
    """A property that a revision violates: in how many schedules, and in which first."""

    schedules: int
    first: int
    sentence: str


class Column(Struct, frozen=True):
    """What became of a revision.

    `violated` by property; `restless`: schedules that did not come to rest.  `messages`: per life
    of a PASID.  `reclaim_p50`, `reclaim_p99`: deliveries from an effective free to the reclaim.
    `faults`, `invalid`: blocked accesses and page requests answered INVALID, per hundred lives.
    None: there was no life, or no reclaim.
    """

    revision: str
    violated: dict[str, Broken]
    restless: int
    lives: int
    messages: float | None
    reclaim_p50: int | None
    reclaim_p99: int | None
    reclaimed: int
    faults: float | None
    invalid: float | None


class Comparison(Struct, frozen=True, kw_only=True):
    """The table: a column for each revision.

    `held`: what all are judged by and none violates.  `does_not_apply`: by revision, what others
    are judged by and it is not, since nothing that it has could break it.
    """

    format: int = RESULT_FORMAT
    verb: str = "compare"
    experiment: str
    title: str
    seed: int
    schedules: int
    verdict: Status
    exit_code: int
    columns: tuple[Column, ...]
    held: tuple[str, ...]
    does_not_apply: dict[str, tuple[str, ...]]
    seconds: float
    again: str


class Charge(Struct, frozen=True):
    """What all jobs share: a setup for each revision."""

    setups: dict[str, Setup]


class Portion(Struct, frozen=True):
    """Some schedules of a revision, numbered from `first`."""

    revision: str
    first: int
    orders: tuple[Order, ...]


class Taken(Struct):
    """What became of a portion: measures; per property how often, first where, and how; lessons."""

    measures: Measures
    violated: dict[str, Broken]
    restless: int
    lessons: list[Lesson]


class Wanted(Struct, frozen=True):
    """What is asked for; `where`: the experiment's file, for what is wrong in it."""

    where: str
    seed: int
    schedules: int = SCHEDULES


class Told(Struct):
    """How far it has come."""

    unit: ClassVar[str] = "schedules"

    schedules: int = 0
    violating: int = 0

    def found(self) -> str:
        """What was violated."""
        return many(self.violating, "violation")


def every() -> list[str]:
    """All revisions in the order in which they were posted, the sound one last."""
    return [*sorted(revisions(), key=lambda name: (str(about(name).DATE), name)), SOUND]


def published(stack: str) -> list[str]:
    """Those that can be played on the stack, and say something of an actor of it."""
    return [name for name in every() if plays(Lineup(name), stack)]


def comparable(experiment: Experiment, where: str) -> tuple[list[str], dict[str, str]]:
    """All that can be asked of it, in order; and those that cannot, though they have its actors.

    Those have not all that it has, or could not live with what befalls it: why not is said.
    """
    said, refused = list[str](), dict[str, str]()
    for name in every():
        one = structs.replace(experiment, revision=name)
        if name != SOUND and not touches(one.lineup, one.played):
            continue
        try:
            check_played(one.lineup, one.played, "--revision", "--defect")
            setup_of(one, where)
        except ExperimentError as error:
            refused[name] = str(error).removeprefix(f"{where}: ")
        else:
            said.append(name)
    if not said:
        raise ExperimentError(f"{where}: {refused[SOUND]}")
    return said, refused


def between(text: str, stack: str) -> list[str]:
    """The revisions of `A..B`, both ends included; either may be left out.

    Between two of the mainline those of the mailing list are not asked, and the other way round.
    """
    known = published(stack)
    first, dots, last = text.partition("..")
    if not dots:
        raise ExperimentError(f"--bisect-revisions: '{text}' is not a range like v1..v4")
    for word in (first, last):
        if word in revisions() and word not in known:
            one = Lineup(word)
            check_played(one, stack_of(one, stack), "--bisect-revisions", "")
            raise ExperimentError(
                f"--bisect-revisions: '{word}' has another stack than the others:"
                " compare puts it beside them"
            )
        if word and word not in known:
            raise ExperimentError(
                f"--bisect-revisions: '{word}' is not a revision{nearest(word, known)}"
                f" (revisions, in order: {', '.join(known)})"
            )
    begin = known.index(first) if first else 0
    end = known.index(last) if last else len(known) - 1
    if begin >= end:
        raise ExperimentError(
            f"--bisect-revisions: '{first}' does not come before '{last}'"
            f" (revisions, in order: {', '.join(known)})"
        )
    ends = [known[begin], known[end]]
    lines = {name.startswith(MAINLINE) for name in ends if name != SOUND}
    chosen = known[begin : end + 1]
    if len(lines) > 1:
        return chosen
    (line,) = lines
    return [name for name in chosen if name == SOUND or name.startswith(MAINLINE) is line]


def compared(
    experiments: dict[str, Experiment], asked: Wanted, crew: AbstractContextManager[Workers],
    voice: Voice,
) -> tuple[Column, ...]:  # fmt: skip
    """The same schedules for each revision; what the strategy learns, it learns from the first."""
    explore = next(iter(experiments.values())).explore
    setups = {
        name: replace(prepared(_setup(name, one, asked), explore.strategy), stop_at_first=False)
        for name, one in experiments.items()
    }
    made = campaign(explore.strategy, asked.seed, explore.depth)
    sums = {name: Sum() for name in setups}
    told = Told()
    with crew as workers, progress(voice, "compare", asked.schedules * len(setups)) as say:
        done = 0
        while done < asked.schedules and (orders := made.round()[: asked.schedules - done]):
            jobs = [
                Portion(name, done + k, tuple(orders[k : k + PORTION]))
                for k in range(0, len(orders), PORTION)
                for name in setups
            ]
            with closing(workers.map(take, Charge(setups), jobs)) as answers:
                for job, taken in zip(jobs, answers, strict=True):
                    sums[job.revision].add(taken)
                    if job.revision == jobs[0].revision:
                        for order, lesson in zip(job.orders, taken.lessons, strict=True):
                            made.learn(order, lesson)
                    told.schedules += len(job.orders)
                    told.violating = sum(len(one.violated) for one in sums.values())
                    say(told)
            done += len(orders)
    return tuple(one.column(name) for name, one in sums.items())


def _setup(name: str, experiment: Experiment, asked: Wanted) -> Setup:
    """What is run of a revision; of several, a refusal says which it is."""
    try:
        return setup_of(experiment, asked.where)
    except ExperimentError as error:
        if f"'{name}'" in str(error):
            raise
        raise ExperimentError(f"{error} (so it is with '{name}')") from error


def take(charge: Charge, job: Portion) -> Taken:
    """Run a portion."""
    taken = Taken(Measures(reclaims=[]), {}, 0, [])
    setup = charge.setups[job.revision]
    for index, order in enumerate(job.orders, start=job.first + 1):
        result, lesson, measures = measured(setup, order)
        taken.measures.add(measures)
        taken.lessons.append(lesson)
        first: dict[str, Broken] = {}
        for one in result.violations:
            first.setdefault(one.property, Broken(1, index, one.sentence))
        merge(taken.violated, first)
        taken.restless += not (result.quiet or result.violations)
    return taken


def merge(into: dict[str, Broken], more: dict[str, Broken]) -> None:
    """Count together; the first stays the first."""
    for name, broken in more.items():
        before = into.get(name)
        if before is None:
            into[name] = broken
        else:
            into[name] = structs.replace(before, schedules=before.schedules + broken.schedules)


class Sum:
    """What became of one revision, portion after portion."""

    def __init__(self) -> None:
        self.measures = Measures(reclaims=[])
        self.violated: dict[str, Broken] = {}
        self.restless = 0

    def add(self, taken: Taken) -> None:
        """One portion more."""
        self.measures.add(taken.measures)
        self.restless += taken.restless
        merge(self.violated, taken.violated)

    def column(self, revision: str) -> Column:
        """All of it."""
        measures = self.measures
        lives = measures.lives
        reclaims = sorted(measures.reclaims)
        return Column(
            revision=revision,
            violated=self.violated,
            restless=self.restless,
            lives=lives,
            messages=per(measures.messages, lives),
            reclaim_p50=percentile(reclaims, 50),
            reclaim_p99=percentile(reclaims, 99),
            reclaimed=len(reclaims),
            faults=per(100 * measures.faults, lives),
            invalid=per(100 * measures.invalid, lives),
        )


def per(count: int, lives: int) -> float | None:
    """So many for each life; None where there was none."""
    return round(count / lives, 1) if lives else None


def percentile(ordered: Sequence[int], percent: int) -> int | None:
    """The smallest value that so many per cent do not exceed; None of nothing."""
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def changes(columns: Sequence[Column]) -> list[str]:
    """From each revision to the next: which properties it broke, which it mended."""
    said = []
    for before, after in pairwise(columns):
        broke = [name for name in after.violated if name not in before.violated]
        mended = [name for name in before.violated if name not in after.violated]
        lines = [f"broke {name} (schedule {after.violated[name].first})" for name in sorted(broke)]
        lines += [f"mended {name}" for name in sorted(mended)]
        said += [f"{before.revision} -> {after.revision}: {line}" for line in lines or ["nothing"]]
    return said


def judged(experiments: dict[str, Experiment], where: str) -> dict[str, tuple[str, ...]]:
    """By revision, the rules that its runs are judged by."""
    return {
        name: tuple(
            found.name for found in properties_of(one, where) if found.kind is not Kind.SOMETIMES
        )
        for name, one in experiments.items()
    }


def held(by: dict[str, tuple[str, ...]], columns: Sequence[Column]) -> list[str]:
    """What all are judged by, and nobody violated."""
    first = next(iter(by.values()))
    every = [name for name in first if all(name in names for names in by.values())]
    return [name for name in every if not any(name in one.violated for one in columns)]


def does_not_apply(by: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """By revision, what the others are judged by."""
    every = list(dict.fromkeys(name for names in by.values() for name in names))
    return {
        revision: tuple(name for name in every if name not in names)
        for revision, names in by.items()
        if len(names) < len(every)
    }
