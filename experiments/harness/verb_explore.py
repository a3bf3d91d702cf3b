"""`pasidlab explore`: many schedules in the simulator."""

import time
from pathlib import Path

import click

from experiments.harness.jobs import Jobs, jobs_options
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


@click.command(
    "explore",
    cls=Verb,
    epilog=EXIT_CODES,
    examples=(
        "pasidlab explore experiments/ioasid/free_before_unbind.toml --schedules 1000",
        "pasidlab explore experiments/ioasid/vm_killed.toml -j auto --for 1m",
        "pasidlab explore experiments/ioasid/two_guests.toml --strategy breadth-first",
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
    the bounds that are printed, or a counterexample, breadth first the shortest there is.  --depth
    then bounds the delays in a run, and without it every order is searched.
    """
    from clusters.sim.search import SEARCHES
    from clusters.sim.strategies import ends
    from experiments.harness.aftermath import NOTHING, aftermath
    from experiments.harness.concluding import conclude
    from experiments.harness.exploring import Budget, explore
    from experiments.harness.running import simulated
    from experiments.harness.setup import drawn_seed

    until = time.monotonic() + seconds if seconds else None
    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    crew = Jobs(jobs, place, address).workers(voice)
    asked = Asked(file, changes, revision, max_steps, strategy, depth)
    case = simulated(asked, drawn_seed(seed), runs_dir)
    table = case.experiment.explore
    if table.strategy in SEARCHES:
        from experiments.harness.finding import find_run
        from experiments.harness.searching import Limits, search

        if schedules or keep_going or (jobs is not None and table.strategy == "depth-first"):
            raise click.UsageError(f"--schedules, --keep-going: not of {table.strategy}")
        limits = Limits(
            **{
                key: value for key, value in (("states", states), ("memory_gb", memory_gb)) if value
            },
            until=until,
            symmetry=symmetry,
            resume=find_run(resume, runs_dir) if resume else None,
        )
        outcome = search(case, limits, voice, crew)
        return conclude(case, outcome, voice)
    if states or memory_gb or symmetry or resume:
        raise click.UsageError(
            "--states, --memory, --symmetry and --resume go with --strategy breadth-first or"
            " depth-first"
        )
    budget = Budget(
        schedules=schedules or (0 if ends(table.strategy) else table.schedules),
        until=until,
        keep_going=keep_going,
        determinism=not no_determinism,
    )
    outcome = explore(case, budget, voice, crew)
    after = NOTHING if no_shrink else aftermath(case, outcome, voice)
    return conclude(case, outcome, voice, after)
