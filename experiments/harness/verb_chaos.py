"""`pasidlab chaos`: the experiment on live Ray actors, with real faults."""

from pathlib import Path

import click

from experiments.harness.options import EXIT_CODES, Asked, Seconds, Verb, experiment_options
from experiments.harness.say import Voice


@click.command(
    "chaos",
    cls=Verb,
    epilog=EXIT_CODES,
    examples=(
        "pasidlab chaos experiments/chaos/kill_everyone.toml",
        "pasidlab chaos experiments/ioasid/vm_killed.toml --for 30s --seed 7",
        "pasidlab chaos experiments/chaos/lives_20000.toml --soak 1h",
        "pasidlab chaos experiments/chaos/kill_everyone.toml --address 127.0.0.1:6379",
    ),
)
@click.option("--for", "seconds", type=Seconds(), help="Faults for this long: 30s, 5m.")
@click.option(
    "--soak", "soak_seconds", type=Seconds(),
    help="Run after run for this long: 1h, 8h; ends at the first that does not pass.",
)  # fmt: skip
@click.option(
    "--address",
    default="",
    metavar="HOST:PORT",
    help="A Ray cluster to attach to (default: start our own).",
)
@experiment_options
def command(
    *,
    file: Path,
    seed: int | None,
    changes: tuple[str, ...],
    revision: str | None,
    defects: tuple[str, ...],
    runs_dir: Path,
    seconds: float | None,
    soak_seconds: float | None,
    address: str,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """An experiment FILE on live Ray actors, with real kills; then judged and re-executed."""
    from experiments.harness.living import How, chaos
    from experiments.harness.setup import drawn_seed

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    asked = Asked(file, changes, revision, defects)
    return chaos(asked, drawn_seed(seed), runs_dir, How(seconds, address, soak_seconds), voice)
