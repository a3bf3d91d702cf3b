"""Options that several verbs share, and the types that read them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
SEED_MAX: Final = 1 << 64
_UNITS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_TIME: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|)")


class Seed(click.ParamType[int]):
    """A seed: decimal, or hexadecimal with 0x."""

    name = "seed"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        try:
            seed = int(str(value), 0)
        except ValueError:
            self.fail(f"'{value}' is not a seed: a number like 7 or 0x5eed", param, ctx)
        if not 0 <= seed < SEED_MAX:
            self.fail(f"a seed is 0 to 2**64 - 1, not {value}", param, ctx)
        return seed


class Seconds(click.ParamType[float]):
    """A time: 30s, 5m, 1h, 500ms, or a plain number of seconds."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        found = _TIME.fullmatch(str(value).strip())
        if not found or float(found[1]) <= 0:
            self.fail(f"'{value}' is not a time: 30s, 5m, 1h or 500ms", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


def experiment_options(verb: F) -> F:
    """FILE, --set, --seed, --revision, --runs-dir, --json, -q: what every experiment verb has."""
    for option in (
        click.option("--no-color", is_flag=True, help="No colours, also on a terminal."),
        click.option("-q", "--quiet", is_flag=True, help="No talk on stderr."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout."),
        click.option(
            "--runs-dir",
            default="runs",
            show_default=True,
            envvar="PASIDLAB_RUNS_DIR",
            type=click.Path(path_type=Path, file_okay=False),
            help="Where run folders go.",
        ),
        click.option(
            "--revision", help="A published state of the protocol, in place of the file's."
        ),
        click.option(
            "--set",
            "changes",
            multiple=True,
            metavar="PATH=VALUE",
            help="Change the file, e.g. pool.pasids=4 (repeatable).",
        ),
        click.option("--seed", type=Seed(), help="Where all chance comes from (default: drawn)."),
        click.argument("file", type=click.Path(path_type=Path, dir_okay=False)),
    ):
        verb = option(verb)
    return verb
