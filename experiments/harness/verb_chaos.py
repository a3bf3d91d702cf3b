"""`pasidlab chaos`: the experiment on live Ray actors, with real faults."""

import os
from pathlib import Path

import click

from experiments.harness.options import EXIT_CODES, Asked, Seconds, Verb, played_options
from experiments.harness.say import Voice


@click.command(
    "chaos",
    cls=Verb,
    epilog=EXIT_CODES,
    examples=(
        "pasidlab chaos experiments/chaos/kill_everyone.toml",
        "pasidlab chaos experiments/ioasid/vm_killed.toml --for 30s --seed 7",
        "pasidlab chaos experiments/chaos/kill_nodes.toml --cluster laptop",
        "pasidlab chaos experiments/chaos/lives_20000.toml --soak 1h",
        "pasidlab chaos --follow latest/ce-1.small.json",
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
    help="A Ray cluster to attach to; auto: what RAY_ADDRESS says (default: start our own).",
)
@click.option(
    "--cluster",
    default="",
    metavar="NAME",
    help="A cluster of yours that is up (see: pasidlab cluster).",
)
@click.option(
    "--follow",
    metavar="CE|RUN|TOKEN",
    help="Hosts hold what comes and handle it as this schedule says, its faults at their places.",
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@played_options
def command(
    *,
    file: Path | None,
    seed: int | None,
    changes: tuple[str, ...],
    revision: str | None,
    defects: tuple[str, ...],
    runs_dir: Path,
    seconds: float | None,
    soak_seconds: float | None,
    address: str,
    cluster: str,
    follow: str | None,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """An experiment FILE on live Ray actors, with real kills; then judged and re-executed.

    With --follow nothing is left to chance: one schedule happens, of a counterexample that has its
    experiment beside it, or of a token with its FILE.
    """
    from experiments.harness.living import How, chaos
    from experiments.harness.own import only_own
    from experiments.harness.setup import drawn_seed

    if file is None and follow is None:
        raise click.UsageError("Missing argument 'FILE'.")
    if follow is not None and {seconds, soak_seconds, seed} != {None}:
        raise click.UsageError(
            "--follow ends with its schedule: no --for, --soak or --seed goes with it"
        )
    if file is None and (changes or not only_own(revision, defects)):
        raise click.UsageError("--set, --revision and --defect want the experiment FILE, too")
    if address and cluster:
        raise click.UsageError("--address and --cluster name two clusters; say one of them")
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "")
        if not address:
            raise click.UsageError("--address auto: RAY_ADDRESS names no cluster")
    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    how = How(seconds, address, cluster, soak_seconds)
    asked = None if file is None else Asked(file, changes, revision, defects)
    if follow is not None:
        from experiments.harness.following import follow as directed
        from experiments.harness.replaying import FOLLOW, schedule

        return directed(schedule(follow, asked, runs_dir, FOLLOW), runs_dir, how, voice)
    assert asked is not None
    return chaos(asked, drawn_seed(seed), runs_dir, how, voice)
