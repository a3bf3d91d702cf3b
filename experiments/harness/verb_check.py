"""`pasidlab check`: properties over a stored history."""

from pathlib import Path

import click

from experiments.harness.say import Voice


@click.command("check")
@click.argument("what", metavar="RUN_OR_HISTORY")
@click.option("--only", multiple=True, metavar="PROPERTY", help="Just these (repeatable).")
@click.option("--runs-dir", default="runs", show_default=True, envvar="PASIDLAB_RUNS_DIR",
              type=click.Path(path_type=Path, file_okay=False), help="Where runs are.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No talk on stderr.")
@click.option("--no-color", is_flag=True, help="No colours, also on a terminal.")
def command(
    *, what: str, only: tuple[str, ...], runs_dir: Path, as_json: bool, quiet: bool, no_color: bool
) -> int:
    r"""Judge a stored history again: a run folder, `latest`, or a history.jsonl; needs no Ray.

    \b
    Examples:
      pasidlab check latest
      pasidlab check runs/kill_everyone/latest/history.jsonl
      pasidlab check latest --only entries-cleared-before-reclaim
    """
    from experiments.harness.checking import check

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    return check(what, only, runs_dir, voice)
