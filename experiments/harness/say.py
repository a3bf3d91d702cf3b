"""How the command line talks: answer on stdout, talk on stderr, nothing moves unasked."""

import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any, Final

import click
import msgspec

COLOURS: Final = {
    "pass": "green", "held": "green", "violation": "red", "violated": "red", "unknown": "yellow",
    "diverged": "magenta", "cluster failed": "magenta", "interrupted": "yellow",
}  # fmt: skip
WIDTH: Final = 80


class Voice:
    """One command's way to talk; with `json` one object on stdout and nothing else."""

    def __init__(
        self, *, json: bool = False, quiet: bool = False, colour: bool | None = None
    ) -> None:
        self.json = json
        self.quiet = quiet
        self.colour = _colour() if colour is None else colour

    def answer(self, text: str = "") -> None:
        """A line of the answer, on stdout; not with --json."""
        if not self.json:
            click.echo(text, color=self.colour)

    def verdict(self, word: str, rest: str) -> None:
        """The verdict's line: the word, coloured, then what it is about."""
        self.answer(
            f"{self.paint(word, word):<{11 + len(self.paint(word, word)) - len(word)}}{rest}"
        )

    def paint(self, text: str, word: str) -> str:
        """`text` in the colour of a verdict's word."""
        return click.style(text, fg=COLOURS.get(word), bold=True) if self.colour else text

    def object(self, value: Any) -> None:  # noqa: ANN401  whatever msgspec encodes
        """The one object of --json."""
        if self.json:
            click.echo(msgspec.json.encode(value))

    def talk(self, text: str) -> None:
        """Talk, on stderr; not with --quiet."""
        if not self.quiet:
            click.echo(text, err=True, color=False)


def _colour() -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()


def fit(line: str) -> str:
    """The line, cut to the terminal's width; whole where there is no terminal."""
    if not sys.stdout.isatty():
        return line
    width = shutil.get_terminal_size().columns
    return line if len(line) <= width else line[: width - 3] + "..."


def columns(rows: Sequence[tuple[str, ...]], indent: str = "  ") -> list[str]:
    """Rows as aligned lines; the last column is not padded."""
    if not rows:
        return []
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]) - 1)]
    return [
        indent
        + "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]
        )
        for row in rows
    ]
