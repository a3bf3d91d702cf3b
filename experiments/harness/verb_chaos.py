"""`pasidlab chaos`: the experiment on live Ray actors, with real faults."""

import os
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
        "pasidlab chaos experiments/chaos/kill_nodes.toml --cluster laptop",
    ),
)
@click.option("--for", "seconds", type=Seconds(), help="Faults for this long: 30s, 5m.")
@click.option(
    "--address",
    default="",
    metavar="HOST:PORT",
    help="A Ray cluster to attach to; auto: what RAY_ADDRESS says (default: start our own).",
)
@click.option(
    "--cluster",
    default="",
    metavar="NAME",
    help="A cluster of yours that is up (see: pasidlab cluster).",
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
    address: str,
    cluster: str,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """An experiment FILE on live Ray actors, with real kills; then judged and re-executed."""
    from experiments.harness.living import How, chaos
    from experiments.harness.setup import drawn_seed

    if address and cluster:
        raise click.UsageError("--address and --cluster name two clusters; say one of them")
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "")
        if not address:
            raise click.UsageError("--address auto: RAY_ADDRESS names no cluster")
    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    asked = Asked(file, changes, revision, defects)
    return chaos(asked, drawn_seed(seed), runs_dir, How(seconds, address, cluster), voice)
