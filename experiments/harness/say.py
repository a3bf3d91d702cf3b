"""How the command line talks: answer on stdout, talk on stderr, nothing moves unasked."""

import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import click
import msgspec

from experiments.harness.errors import UnwritableError

COLOURS: Final = {
    "pass": "green", "proved": "green", "held": "green",
    "violation": "red", "violated": "red",
    "explained": "green", "not explained": "red",
    "unknown": "yellow", "interrupted": "yellow",
    "diverged": "magenta", "cluster failed": "magenta",
}  # fmt: skip
KEY_WIDTH: Final = 11
_VISIBLE: Final = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
}


class Voice:
    """One command's way to talk; with `json` one object on stdout and nothing else.

    When nobody reads any more (`| head`) it goes on in silence: the verdict is what it is.
    """

    def __init__(
        self, *, json: bool = False, quiet: bool = False, colour: bool | None = None
    ) -> None:
        self.json = json
        self.quiet = quiet
        self.colour = _colour() if colour is None else colour
        self.heard = True

    def answer(self, text: str = "") -> None:
        """A line of the answer, on stdout; not with --json."""
        if not self.json:
            self._put(plain(text))

    def row(self, text: str) -> None:
        """A line of a table: cut to the terminal's width, because the whole is in a file."""
        self.answer(fit(text))

    def keyed(self, key: str, text: str) -> None:
        """A line that begins with what it is."""
        self.answer(f"{key:<{KEY_WIDTH}}{text}")

    def verdict(self, word: str, rest: str) -> None:
        """The verdict's line: the word, coloured, then what it is about."""
        if not self.json:
            gap = " " * max(2, KEY_WIDTH - len(word)) if rest else ""
            self._put(f"{self.paint(word, word)}{gap}{plain(rest)}")

    def title(self, text: str) -> None:
        """A line that stands out on a terminal."""
        if not self.json:
            self._put(click.style(plain(text), bold=True) if self.colour else plain(text))

    def paint(self, text: str, word: str) -> str:
        """`text` in the colour of a verdict's word."""
        return click.style(text, fg=COLOURS.get(word), bold=True) if self.colour else text

    def object(self, value: Any) -> None:  # noqa: ANN401  whatever msgspec encodes
        """The one object of --json."""
        if self.json:
            self._put(msgspec.json.encode(value).decode())

    def talk(self, text: str) -> None:
        """Talk, on stderr; not with --quiet."""
        if not self.quiet:
            complain(text)

    def _put(self, text: str) -> None:
        if not self.heard:
            return
        try:
            click.echo(text, color=self.colour)
        except BrokenPipeError:
            self.heard = False
            hush()
        except OSError as error:
            hush()
            raise UnwritableError(f"stdout: cannot be written: {error.strerror}") from error


def complain(text: str) -> None:
    """A line on stderr; where that is gone, nothing can be done."""
    with suppress(OSError):
        click.echo(plain(text), err=True, color=False)


def hush() -> None:
    """Nobody reads stdout; what Python still has for it goes nowhere, and without a word."""
    with suppress(OSError, ValueError):
        stdout = sys.stdout.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stdout)
        os.close(null)


def plain(text: str) -> str:
    """`text` from outside, so that it can neither move the cursor nor break the output."""
    return text.translate(_VISIBLE).encode("utf-8", "backslashreplace").decode()


def moving() -> bool:
    """Whether somebody watches stderr, so that something may move there."""
    return sys.stderr.isatty() and not _still()


def _colour() -> bool:
    return sys.stdout.isatty() and not _still() and not os.environ.get("NO_COLOR")


def _still() -> bool:
    return bool(os.environ.get("CI")) or os.environ.get("TERM") == "dumb"


def fit(line: str) -> str:
    """The line, cut to the terminal's width; whole where there is no terminal."""
    if not sys.stdout.isatty():
        return line
    width = shutil.get_terminal_size().columns
    return line if len(line) <= width else line[: max(0, width - 3)] + "..."


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


def many(count: int, thing: str) -> str:
    """`1 property`, `2,000 schedules`."""
    if count == 1:
        return f"1 {thing}"
    if thing.endswith("y") and thing[-2:] != "ay":
        return f"{count:,} {thing[:-1]}ies"
    plural = f"{thing}es" if thing.endswith("s") else f"{thing}s"
    return f"{count:,} {plural}"
