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
        "pasidlab explore experiments/ioasid/normal_life.toml --json | jq .verdict",
    ),
)
@click.option("--schedules", type=Count(), help="How many (default: the file's).")
@click.option("--for", "seconds", type=Seconds(), help="Stop after this time: 30s, 5m.")
@click.option("--keep-going", is_flag=True, help="Do not stop at the first violation.")
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
    no_determinism: bool,
    jobs: int | None,
    place: str,
    address: str,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """Many schedules of an experiment FILE in the simulator; stops at the first violation."""
    from clusters.sim.strategies import ends
    from experiments.harness.concluding import conclude
    from experiments.harness.exploring import Budget, explore
    from experiments.harness.running import simulated
    from experiments.harness.setup import drawn_seed

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    crew = Jobs(jobs, place, address).workers(voice)
    asked = Asked(file, changes, revision, max_steps, strategy, depth)
    case = simulated(asked, drawn_seed(seed), runs_dir)
    table = case.experiment.explore
    budget = Budget(
        schedules=schedules or (0 if ends(table.strategy) else table.schedules),
        until=time.monotonic() + seconds if seconds else None,
        keep_going=keep_going,
        determinism=not no_determinism,
    )
    return conclude(case, explore(case, budget, voice, crew), voice)
