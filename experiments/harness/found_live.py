"""What is done with a violation that was found live: it is found again in the simulator.

The inputs of the cluster, in their order, are a schedule; that is run, made small and explained
like one that `explore` found, and offered as a directed run: `chaos --follow`.
"""

from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from clusters.live.retelling import Retold, retold
from clusters.sim.replay import retrace
from clusters.sim.tape import Origin
from experiments.harness.aftermath import Aftermath, made_small, say_aftermath
from experiments.harness.config import Experiment, at_large
from experiments.harness.options import Asked
from experiments.harness.own import own_words
from experiments.harness.result import Counterexample
from experiments.harness.running import Case, Failing, command
from experiments.harness.say import Voice, many
from experiments.harness.setup import digest_of, setup_of
from experiments.harness.shrinking import small_example, write_small
from experiments.harness.store import Run, git_state, resolved
from experiments.harness.tables import NetworkTable
from protocol.errors import PasidlabError

NAME: Final = "ce-1"
"""The schedule of the cluster, and the experiment that it is one of; small, it is `ce-1.small`."""

STARTS_MAX: Final = 10_000
LEFT: Final = ("lose", "fail", "amnesia")
"""Faults that are more than an order."""
"""Every `Start` is a step, and no choice."""


class Found(Struct, frozen=True):
    """What became of it: `failing` in the simulator (None: it was not found again, and `why`)."""

    case: Case | None = None
    failing: Failing | None = None
    after: Aftermath | None = None
    examples: tuple[Counterexample, ...] = ()
    why: str = ""

    @property
    def follow(self) -> str:
        """The command for the directed run of the smallest that there is."""
        if not self.examples or self.case is None:
            return ""
        last = self.examples[-1]
        return command("chaos", "--follow", last.file, *own_words(self.case.experiment.lineup))


def find_again(
    asked: Asked, experiment: Experiment, run: Run, voice: Voice, *, shrink: bool = True
) -> Found:
    """Find it, make it small, and write it into the run's folder."""
    sites = {nemesis.site for nemesis in experiment.nemesis if nemesis.site}
    try:
        told = retold(run.folder, run.seed, sites)
        experiment = simulated(experiment, told)
        case = _case(asked, experiment, run)
        result = retrace(case.setup, told.tape, quiet=told.quiet)
    except PasidlabError as error:
        return Found(why=str(error))
    except KeyboardInterrupt:
        return Found(why="interrupted before it was")
    if not result.violations:
        end = "" if told.quiet else "; what is to happen in the end is judged at a quiet one only"
        return Found(why=f"nothing is violated in {many(result.steps, 'step')}{end}")
    failing = Failing(0, result, [])  # All records of a long run would fill the memory.
    after = made_small(case, failing, voice) if shrink else None
    examples = _written(case, failing, after)
    return Found(case, failing, after, examples)


def simulated(experiment: Experiment, told: Retold) -> Experiment:
    """The experiment of which the schedule is one: live rounds are operations, nothing waits.

    A loss, of memory too, and the failure of a step are all that is left of its faults.
    """
    steps = len(told.tape.choices) + STARTS_MAX
    explore = experiment.explore
    return structs.replace(
        at_large(experiment),
        network=NetworkTable(),
        nemesis=tuple(one for one in experiment.nemesis if one.fault in LEFT),
        explore=structs.replace(explore, max_steps=max(explore.max_steps, steps)),
    )


def _case(asked: Asked, experiment: Experiment, run: Run) -> Case:
    setup = setup_of(experiment, str(asked.file), run=run.final.name)
    return Case(asked, experiment, run.seed, setup, run, digest_of(resolved(experiment)))


def _written(case: Case, failing: Failing, after: Aftermath | None) -> tuple[Counterexample, ...]:
    """`ce-1.json` and `ce-1.toml`, and the small ones; how `result.json` tells of them."""
    run, result = case.run, failing.result
    violation = result.violations[0]
    run.write(f"{NAME}.toml", resolved(case.experiment))
    step = violation.record.stamp.step
    origin = Origin(git_state()[0], case.digest, violation.property, step)
    path = run.write(f"{NAME}.json", result.tape.to_json(origin))
    examples = [
        Counterexample(
            property=violation.property,
            message=violation.sentence,
            schedule=1,
            seed=case.seed,
            steps=result.steps,
            file=str(path),
            replay=_replay(case, path),
            strategy="live",
        )
    ]
    if after is not None and after.small is not None:
        small = write_small(after.small, f"{NAME}.small", run.write)
        examples.append(small_example(after.small, small, _replay(case, small)))
    return tuple(examples)


def _replay(case: Case, path: Path) -> str:
    return command("replay", str(path), *own_words(case.experiment.lineup))


def say_found(found: Found, voice: Voice) -> None:
    """The story, how small it became, why it happened."""
    if found.failing is None:
        voice.answer(f"not found again in the simulator: {found.why}")
        return
    result = found.failing.result
    first = result.violations[0]
    voice.answer()
    voice.answer(f"found again in the simulator: {first.property}    at step {result.steps:,}")
    voice.answer(f"  {first.sentence}")
    voice.answer()
    if found.after is not None:
        say_aftermath(found.after, found.failing, voice, brief=True)


def say_ways(found: Found, voice: Voice) -> None:
    """The commands that show it again, here and on a cluster; the last lines."""
    for example, key in zip(found.examples, ("as found", "replay"), strict=False):
        voice.keyed(key if len(found.examples) > 1 else "replay", example.replay)
    if found.follow:
        voice.keyed("follow", found.follow)
