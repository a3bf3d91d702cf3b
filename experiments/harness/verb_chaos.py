"""`pasidlab chaos`: the experiment on live Ray actors, with real faults."""

from pathlib import Path

import click

from experiments.harness.options import Seconds, experiment_options
from experiments.harness.say import Voice


@click.command("chaos")
@experiment_options
@click.option("--for", "seconds", type=Seconds(), help="Faults for this long: 30s, 5m.")
@click.option("--address", default="", help="A Ray cluster to attach to (default: start our own).")
def command(
    *,
    file: Path,
    seed: int | None,
    changes: tuple[str, ...],
    revision: str | None,
    runs_dir: Path,
    seconds: float | None,
    address: str,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    r"""An experiment FILE on live Ray actors, with real kills; then judged and re-executed.

    \b
    Examples:
      pasidlab chaos experiments/chaos/kill_everyone.toml
      pasidlab chaos experiments/ioasid/vm_killed.toml --for 30s --seed 7
      pasidlab chaos experiments/chaos/kill_everyone.toml --address 127.0.0.1:6379
    """
    from experiments.harness.living import chaos
    from experiments.harness.setup import drawn_seed, loaded

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    experiment = loaded(file, changes, revision)
    return chaos(experiment, str(file), drawn_seed(seed), runs_dir, voice,
                 seconds=seconds, address=address)  # fmt: skip
