"""`pasidlab check`: properties over a stored history."""

from pathlib import Path

import click

from experiments.harness.options import EXIT_CODES, Verb, answer_options, runs_option
from experiments.harness.say import Voice


@click.command(
    "check",
    cls=Verb,
    epilog=EXIT_CODES,
    examples=(
        "pasidlab check latest",
        "pasidlab check runs/kill_everyone/latest/history.jsonl",
        "pasidlab check latest --only entries-cleared-before-reclaim",
    ),
)
@click.argument("what", metavar="RUN|HISTORY")
@click.option("--only", multiple=True, metavar="PROPERTY", help="Just these (repeatable).")
@runs_option("Where runs are")
@answer_options
def command(
    *, what: str, only: tuple[str, ...], runs_dir: Path, as_json: bool, quiet: bool, no_color: bool
) -> int:
    """Judge a stored history again: a run folder, `latest`, or a history.jsonl; needs no Ray."""
    from experiments.harness.checking import check

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    return check(what, only, runs_dir, voice)
