"""`pasidlab explore`: many schedules in the simulator."""

import time
from pathlib import Path

import click

from experiments.harness.options import Seconds, experiment_options
from experiments.harness.say import Voice


@click.command("explore")
@experiment_options
@click.option("--schedules", type=click.IntRange(1), help="How many (default: the file's).")
@click.option("--for", "seconds", type=Seconds(), help="Stop after this time: 30s, 5m.")
@click.option("--max-steps", type=click.IntRange(1), help="Bound of each schedule.")
@click.option("--keep-going", is_flag=True, help="Do not stop at the first violation.")
@click.option("--no-determinism", is_flag=True, help="Do not run one in a hundred twice.")
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
    keep_going: bool,
    no_determinism: bool,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    r"""Many schedules of an experiment FILE in the simulator; stops at the first violation.

    \b
    Examples:
      pasidlab explore experiments/ioasid/free_before_unbind.toml --schedules 10000
      pasidlab explore experiments/ioasid/vm_killed.toml --for 1m --seed 7
      pasidlab explore experiments/ioasid/normal_life.toml --json | jq .verdict
    """
    from experiments.harness.exploring import Budget, explore
    from experiments.harness.running import conclude, simulated
    from experiments.harness.setup import drawn_seed, loaded

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    if max_steps:
        changes = (*changes, f"explore.max_steps={max_steps}")
    experiment = loaded(file, changes, revision)
    case = simulated(experiment, str(file), drawn_seed(seed), runs_dir)
    budget = Budget(
        schedules=schedules or experiment.explore.schedules,
        until=time.monotonic() + seconds if seconds else None,
        keep_going=keep_going,
        determinism=not no_determinism,
    )
    return conclude(case, explore(case, budget, voice), voice)
