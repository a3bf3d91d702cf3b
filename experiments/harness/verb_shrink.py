"""`pasidlab shrink`: a counterexample made smaller."""

from pathlib import Path

import click

from experiments.harness.options import (
    CHANGES,
    DEFECT,
    EXIT_CODES,
    MAX_STEPS,
    REVISION,
    Asked,
    Count,
    Seconds,
    Verb,
    answer_options,
    runs_option,
)
from experiments.harness.say import Voice


@click.command(
    "shrink",
    cls=Verb,
    epilog=EXIT_CODES,
    examples=(
        "pasidlab shrink latest",
        "pasidlab shrink runs/latest/ce-1.json --for 5m --tries 100000",
        "pasidlab shrink aeaaaaaaaaaaab3smfxgi33ntx3q experiments/ioasid/vm_killed.toml",
    ),
)
@click.argument("what", metavar="CE_FILE|RUN|TOKEN")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--for", "seconds", type=Seconds(), help="Stop after this time (default: 60s).")
@click.option("--tries", type=Count(), help="Schedules to run at most (default: 10,000).")
@CHANGES
@REVISION
@DEFECT
@MAX_STEPS
@runs_option("Where runs are")
@answer_options
def command(
    *,
    what: str,
    file: Path | None,
    seconds: float | None,
    tries: int | None,
    changes: tuple[str, ...],
    revision: str | None,
    defects: tuple[str, ...],
    max_steps: int | None,
    runs_dir: Path,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """Make a counterexample smaller: its schedule, and its experiment.

    What comes of it lies beside the file that was given (of a token: in a run folder), and replays:
    ce-1.small.json with ce-1.small.toml.  It violates the same property.
    """
    from experiments.harness.own import only_own
    from experiments.harness.replaying import schedule
    from experiments.harness.shrink_saying import shrink_and_say
    from experiments.harness.shrinking import SECONDS, TRIES, Limits

    if file is None and (changes or max_steps is not None or not only_own(revision, defects)):
        raise click.UsageError(
            "--set, --revision, --defect and --max-steps want the experiment FILE, too"
        )
    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    asked = None if file is None else Asked(file, changes, revision, defects, max_steps)
    given = schedule(what, asked, runs_dir, "shrink")
    limits = Limits(tries or TRIES, seconds or SECONDS, runs_dir)
    return shrink_and_say(given, limits, voice)
