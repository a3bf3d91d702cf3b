"""`pasidlab replay`: one schedule again."""

from pathlib import Path

import click

from experiments.harness.options import (
    CHANGES,
    DEFECT,
    EXIT_CODES,
    MAX_STEPS,
    REVISION,
    Asked,
    Verb,
    answer_options,
    runs_option,
)
from experiments.harness.say import Voice


@click.command(
    "replay",
    cls=Verb,
    epilog=EXIT_CODES,
    examples=(
        "pasidlab replay latest",
        "pasidlab replay runs/latest/ce-1.json --why",
        "pasidlab replay aeaaaaaaaaaaab3smfxgi33ntx3q experiments/ioasid/vm_killed.toml",
    ),
)
@click.argument("what", metavar="CE_FILE|RUN|TOKEN")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--steps", is_flag=True, help="Print every step, and what it did.")
@click.option("--why", is_flag=True, help="Look for the reason: the guilty step, with its numbers.")
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
    steps: bool,
    why: bool,
    changes: tuple[str, ...],
    revision: str | None,
    defects: tuple[str, ...],
    max_steps: int | None,
    runs_dir: Path,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """One schedule again: a counterexample file, or a token with its experiment FILE.

    A counterexample file has its experiment beside it; --set, --revision and --max-steps belong to
    a FILE that is named.
    """
    from experiments.harness.own import only_own
    from experiments.harness.replaying import replay_and_say, schedule

    if as_json and steps:
        raise click.UsageError("--json is one object: it does not go with --steps")
    if file is None and (changes or max_steps is not None or not only_own(revision, defects)):
        raise click.UsageError(
            "--set, --revision, --defect and --max-steps want the experiment FILE, too"
        )
    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    asked = None if file is None else Asked(file, changes, revision, defects, max_steps)
    return replay_and_say(schedule(what, asked, runs_dir), voice, show=steps, why=why)
