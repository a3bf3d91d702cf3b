"""`pasidlab replay`: one schedule again."""

from pathlib import Path

import click

from experiments.harness.say import Voice


@click.command("replay")
@click.argument("what", metavar="CE_FILE_OR_TOKEN")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--steps", is_flag=True, help="Print every step.")
@click.option("--set", "changes", multiple=True, metavar="PATH=VALUE", help="With a token's FILE.")
@click.option("--runs-dir", default="runs", show_default=True, envvar="PASIDLAB_RUNS_DIR",
              type=click.Path(path_type=Path, file_okay=False), help="Where runs are.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No talk on stderr.")
@click.option("--no-color", is_flag=True, help="No colours, also on a terminal.")
def command(
    *,
    what: str,
    file: Path | None,
    steps: bool,
    changes: tuple[str, ...],
    runs_dir: Path,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    r"""One schedule again: a counterexample file of a run, or a token with its experiment FILE.

    \b
    Examples:
      pasidlab replay runs/latest/ce-1.json
      pasidlab replay runs/latest/ce-1.json --steps
      pasidlab replay 1r5eed1c0d experiments/ioasid/free_before_unbind.toml
    """
    from experiments.harness.replaying import replay_file, replay_token

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    if file is not None:
        return replay_token(what, file, changes, voice, show=steps)
    path = Path(what)
    if not path.exists() and (runs_dir / what).exists():
        path = runs_dir / what
    return replay_file(path, voice, show=steps)
