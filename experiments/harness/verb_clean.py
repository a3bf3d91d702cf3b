"""`pasidlab clean`: old runs go, the others stay."""

import re
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from experiments.harness.options import Seconds, Verb, answer_options, runs_option
from experiments.harness.say import Voice, many

UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
SIZE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([KMGT]?)B?", re.IGNORECASE)


class Size(click.ParamType[int]):
    """A size: 500M, 10G, or a plain number of bytes."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        found = SIZE.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"'{value}' is not a size: 500M, 10G", param, ctx)
        return int(float(found[1]) * UNITS[found[2].upper()])


class Cleaned(Struct, frozen=True):
    """What `--json` says: which folders went (or would), which stayed against a rule, and bytes."""

    dry_run: bool
    removed: tuple[str, ...]
    spared: dict[str, str]
    kept: int
    bytes: int


@click.command(
    "clean",
    cls=Verb,
    epilog="Exit codes: 0 done, 2 wrong command, or a folder that cannot be removed.",
    examples=(
        "pasidlab clean --keep 5 --dry-run",
        "pasidlab clean --older-than 7d",
        "pasidlab clean --max-size 10G --keep 20",
    ),
)
@click.option("--keep", type=click.IntRange(min=0), metavar="N", help="Of each experiment.")
@click.option("--older-than", "older", type=Seconds(), help="Last written so long ago: 12h, 7d.")
@click.option("--max-size", "size", type=Size(), help="Of all runs together; the oldest go first.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@runs_option("Where runs are")
@answer_options
def command(
    *,
    keep: int | None,
    older: float | None,
    size: int | None,
    dry_run: bool,
    runs_dir: Path,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """Remove runs that a rule says may go: not the newest N, too old, or too many bytes.

    Only folders that a run has made, and that have nothing else in them, are removed.
    """
    from experiments.harness.cleaning import Rules, choose, now, remove

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    rules = Rules(keep, older, size)
    if rules == Rules():
        raise click.UsageError("say what may go: --keep, --older-than or --max-size")
    chosen = choose(runs_dir, rules, now())
    going = [one for one in chosen if one.goes]
    if not dry_run:
        remove(runs_dir, chosen)
    for one in going:
        voice.answer(f"{megabytes(one.size):>10}  {one.path}  {one.why}")
    spared = {str(one.path): one.why for one in chosen if one.why and not one.goes}
    for path, why in spared.items():
        voice.talk(f"stays      {path}: {why}")
    freed = sum(one.size for one in going)
    left = len(chosen) - len(going)
    word = "would go" if dry_run else "gone"
    voice.answer(f"{word:<11}{many(len(going), 'run')}, {megabytes(freed)}; {left} left")
    voice.object(Cleaned(dry_run, tuple(str(one.path) for one in going), spared, left, freed))
    return 0


def megabytes(size: int) -> str:
    """For people."""
    return f"{size / (1 << 20):,.1f} MB"
