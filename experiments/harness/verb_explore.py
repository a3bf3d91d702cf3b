"""`pasidlab explore`: many schedules in the simulator."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import structs

from experiments.harness.jobs import HERE, Jobs, jobs_options
from experiments.harness.options import (
    EXIT_CODES,
    MAX_STEPS,
    Asked,
    Count,
    Seconds,
    Verb,
    experiment_options,
    strategy_options,
)
from experiments.harness.say import Voice

if TYPE_CHECKING:
    from experiments.harness.exploring import Budget, Crew
    from experiments.harness.running import Case
    from experiments.harness.searching import Limits
    from experiments.harness.tables import ExploreTable


@click.command(
    "explore",
    cls=Verb,
    epilog=EXIT_CODES,
    examples=(
        "pasidlab explore experiments/ioasid/free_before_unbind.toml --schedules 1000",
        "pasidlab explore experiments/ioasid/vm_killed.toml -j auto --for 1m",
        "pasidlab explore experiments/ioasid/proof_two_guests.toml --for 1m",
    ),
)
@click.option("--schedules", type=Count(), help="How many (default: the file's).")
@click.option("--for", "seconds", type=Seconds(), help="Stop after this time: 30s, 5m.")
@click.option("--keep-going", is_flag=True, help="Do not stop at the first violation.")
@click.option("--states", type=Count(), metavar="N", help="Of a search: stop at so many states.")
@click.option(
    "--memory", "memory_gb", type=Count(), metavar="GB", help="Of a search: stop at so much memory."
)
@click.option("--symmetry", is_flag=True, help="Of a search: VMs that are alike are exchanged.")
@click.option("--resume", metavar="RUN", help="Go on with a breadth-first search that was stopped.")
@click.option(
    "--bisect-revisions", "revisions", metavar="A..B",
    help="Instead: which published revision from A to B broke or mended a property.",
)  # fmt: skip
@click.option("--no-shrink", is_flag=True, help="Leave a counterexample as it was found.")
@click.option("--no-determinism", is_flag=True, help="Do not run one in a hundred twice.")
@jobs_options
@strategy_options
@MAX_STEPS
@experiment_options
def command(
    *,
    file: Path,
    seed: int | None,
    changes: tuple[str, ...],
    revision: str | None,
    defects: tuple[str, ...],
    runs_dir: Path,
    schedules: int | None,
    seconds: float | None,
    max_steps: int | None,
    strategy: str | None,
    depth: int | None,
    keep_going: bool,
    states: int | None,
    memory_gb: int | None,
    symmetry: bool,
    resume: str | None,
    revisions: str | None,
    no_shrink: bool,
    no_determinism: bool,
    jobs: int | None,
    place: str,
    address: str,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """Many schedules of an experiment FILE in the simulator; stops at the first violation.

    With --strategy breadth-first or depth-first every state is searched, each once: a proof within
    the bounds that are printed, or a counterexample, breadth first the shortest within them.
    --depth then bounds the delays in a run; without it every order is searched.
    """
    from clusters.sim.search import DEPTH_FIRST, SEARCHES
    from experiments.harness.comparing import SCHEDULES, Wanted
    from experiments.harness.finding import find_run
    from experiments.harness.running import simulated
    from experiments.harness.setup import drawn_seed, loaded
    from experiments.harness.verb_compare import bisect

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    asked = Asked(file, changes, revision, defects, max_steps, strategy, depth)
    table = loaded(asked).explore
    until = time.monotonic() + seconds if seconds else None
    if revisions is not None:
        refuse_beside_bisect({"--revision": revision, "--for": seconds, "--resume": resume})
        wanted = Wanted(str(file), 1 if seed is None else seed, schedules or SCHEDULES)
        return bisect(asked, revisions, wanted, Jobs(jobs, place, address), voice)
    if table.strategy in SEARCHES:
        odd = {"--schedules": schedules, "--keep-going": keep_going}
        refuse(table.strategy, {**odd, "--no-determinism": no_determinism})
        if table.strategy == DEPTH_FIRST:
            refuse(table.strategy, {"--resume": resume, **more_than_one(jobs, place)})
            jobs = None
        run = find_run(resume, runs_dir) if resume else None
        limits = limits_of(states, memory_gb, until)
        how: Budget | Limits = structs.replace(limits, symmetry=symmetry, resume=run)
    else:
        only = {"--states": states, "--memory": memory_gb, "--resume": resume}
        refuse(table.strategy, {**only, "--symmetry": symmetry})
        budget = budget_of(table, schedules, until, keep_going=keep_going)
        how = structs.replace(budget, determinism=not no_determinism)
    crew = Jobs(jobs, place, address).workers(voice)
    case = simulated(asked, drawn_seed(seed), runs_dir)
    if case.left_out:
        voice.talk(case.left_out)
    return look(case, how, crew, voice, shrink=not no_shrink)


def look(case: "Case", how: "Budget | Limits", crew: "Crew", voice: Voice, *, shrink: bool) -> int:
    """Explore or search, make what is found small, say what came out."""
    from experiments.harness.aftermath import aftermath
    from experiments.harness.concluding import conclude
    from experiments.harness.exploring import Budget, explore
    from experiments.harness.searching import search

    if isinstance(how, Budget):
        outcome = explore(case, how, voice, crew)
    else:
        outcome = search(case, how, voice, crew)
    after = aftermath(case, outcome, voice) if shrink and outcome.failings else None
    return conclude(case, outcome, voice, after)


def refuse(strategy: str, options: dict[str, object]) -> None:
    """Options that mean nothing to this strategy."""
    given = [name for name, value in options.items() if value]
    if given:
        raise click.UsageError(f"{', '.join(given)}: strategy '{strategy}' has no use for it")


def refuse_beside_bisect(options: dict[str, object]) -> None:
    """Options that mean nothing where revisions are compared."""
    given = [name for name, value in options.items() if value]
    if given:
        raise click.UsageError(f"{', '.join(given)}: does not go with --bisect-revisions")


def more_than_one(jobs: int | None, place: str) -> dict[str, object]:
    """Who was asked to help, in words of the command line; what the environment says is a wish."""
    source = click.get_current_context().get_parameter_source("jobs")
    asked = jobs is not None and source is not click.core.ParameterSource.ENVIRONMENT
    return {"-j": asked and jobs != 1, "--on": place != HERE}


def limits_of(states: int | None, memory_gb: int | None, until: float | None) -> "Limits":
    """When a search stops."""
    from clusters.sim.search.graph import STATES
    from experiments.harness.searching import MEMORY_GB, Limits

    return Limits(states or STATES, memory_gb or MEMORY_GB, until)


def budget_of(
    table: "ExploreTable", schedules: int | None, until: float | None, *, keep_going: bool
) -> "Budget":
    """When schedules stop."""
    from clusters.sim.strategies import ends
    from experiments.harness.exploring import Budget

    count = schedules or (0 if ends(table.strategy) else table.schedules)
    return Budget(count, until, keep_going, determinism=True)
