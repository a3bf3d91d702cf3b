"""`pasidlab run`: one run in the simulator."""

import time
from pathlib import Path

import click

from experiments.harness.options import experiment_options
from experiments.harness.say import Voice


@click.command("run")
@experiment_options
@click.option("--max-steps", type=click.IntRange(1), help="Stop after so many deliveries.")
def command(
    *,
    file: Path,
    seed: int | None,
    changes: tuple[str, ...],
    revision: str | None,
    runs_dir: Path,
    max_steps: int | None,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    r"""One run of an experiment FILE in the simulator, with its whole history.

    \b
    Examples:
      pasidlab run experiments/ioasid/normal_life.toml
      pasidlab run experiments/ioasid/vm_killed.toml --seed 0x5eed
      pasidlab run experiments/ioasid/normal_life.toml --set pool.pasids=4
    """
    from experiments.harness.running import Outcome, conclude, simulated
    from experiments.harness.setup import drawn_seed, loaded

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    if max_steps:
        changes = (*changes, f"explore.max_steps={max_steps}")
    experiment = loaded(file, changes, revision)
    began = time.monotonic()
    run_seed = drawn_seed(seed)
    case = simulated(experiment, str(file), run_seed, runs_dir)
    result, records = case.once(run_seed)
    outcome = Outcome(
        verb="run",
        verdict=result.verdict,
        schedules=1,
        steps=result.steps,
        witnesses={name: 1 for name, count in result.witnesses.items() if count},
        failing=(0, result, records) if result.violations else None,
        records=records,
        seconds=time.monotonic() - began,
    )
    return conclude(case, outcome, voice)
