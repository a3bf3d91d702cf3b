"""`pasidlab show`: a known bug, or a counterexample, as a story."""

from pathlib import Path

import click

from experiments.harness.options import DEFECT, REVISION, Verb, answer_options, runs_option
from experiments.harness.say import Voice


@click.command(
    "show",
    cls=Verb,
    epilog="Exit codes: 0 shown, 2 wrong command or file, 130 interrupted.",
    examples=(
        "pasidlab show find-by-spid-while-pending",
        "pasidlab show find-by-spid-while-pending --mail",
        "pasidlab show latest --mail",
    ),
)
@click.argument("what", metavar="BUG|RUN|CE_FILE")
@click.option("--mail", is_flag=True, help="As an interleaving in plain text, 72 columns wide.")
@REVISION
@DEFECT
@runs_option("Where runs are")
@answer_options
def command(
    *,
    what: str,
    mail: bool,
    revision: str | None,
    defects: tuple[str, ...],
    runs_dir: Path,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """A bug of the bank, or the counterexample of a run, as a story in domain words.

    A bug is looked for and made small, always in the same way.  --mail draws one column per actor,
    time downwards, calls as the kernel names them, to be pasted into a mail.  --revision and
    --defect only name Python files that a stored run was of.
    """
    from experiments.harness.own import only_own
    from experiments.harness.showing import show, story_of

    if not only_own(revision, defects):
        raise click.UsageError("--revision and --defect name a Python file that the run was of")
    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    return show(story_of(what, runs_dir), voice, mail=mail)
