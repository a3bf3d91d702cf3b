"""`pasidlab run`: one run in the simulator."""

from pathlib import Path

import click

from experiments.harness.options import EXIT_CODES, MAX_STEPS, Asked, Verb, experiment_options
from experiments.harness.say import Voice


@click.command(
    "run",
    cls=Verb,
    epilog=EXIT_CODES,
    examples=(
        "pasidlab run experiments/ioasid/normal_life.toml",
        "pasidlab run experiments/ioasid/vm_killed.toml --seed 0x5eed",
        "pasidlab run experiments/ioasid/normal_life.toml --set pool.pasids=4",
    ),
)
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
    max_steps: int | None,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """One run of an experiment FILE in the simulator, with its whole history."""
    from experiments.harness.concluding import conclude
    from experiments.harness.once import once
    from experiments.harness.running import simulated
    from experiments.harness.setup import drawn_seed

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    asked = Asked(file, changes, revision, defects, max_steps)
    case = simulated(asked, drawn_seed(seed), runs_dir)
    if case.left_out:
        voice.talk(case.left_out)
    return conclude(case, once(case), voice)
