"""Options that several verbs share, the types that read them, and how a verb shows its help."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem
from msgspec import Struct

from protocol.errors import nearest

F = TypeVar("F", bound=Callable[..., Any])
SEED_MAX: Final = (1 << 64) - 1
COUNT_MAX: Final = 1_000_000_000
SECONDS_MAX: Final = 366 * 86_400.0
EXIT_CODES: Final = (
    "Exit codes: 0 all held and every witness seen, 1 violation, 2 wrong command or "
    "file, 3 unknown, 4 divergence, 5 the cluster failed, 70 our bug, 130 interrupted."
)
_UNITS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TIME: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h|d|)")
_SEED: Final = re.compile(r"0[xX][0-9a-fA-F]+|[0-9][0-9_]*")
_HEX: Final = re.compile(r"[0-9a-fA-F]+")


class Verb(click.Command):
    """A verb; its help opens with what it does and with examples."""

    def __init__(
        self,
        name: str | None,
        *,
        examples: Sequence[str] = (),
        **keywords: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(name, **keywords)
        self.examples = examples

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        write_examples(formatter, self.examples)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    """Commands to copy, each on its own line however long it is."""
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write(f"  {example}\n")


# --- Types ----------------------------------------------------------------------------------------


class Seed(click.ParamType[int]):
    """A seed: decimal, or hexadecimal with 0x."""

    name = "seed"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        text = str(value).strip()
        if not _SEED.fullmatch(text):
            hint = f"; did you mean 0x{text}?" if _HEX.fullmatch(text) else ""
            self.fail(f"'{value}' is not a seed: a number like 7 or 0x5eed{hint}", param, ctx)
        seed = int(text, 16) if text[:2] in ("0x", "0X") else int(text.replace("_", ""))
        if seed > SEED_MAX:
            self.fail(f"a seed is 0 to 2**64 - 1, not {value}", param, ctx)
        return seed


class Count(click.ParamType[int]):
    """How many of something."""

    name = "n"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        text = str(value).strip().replace("_", "").replace(",", "")
        if not (text.isascii() and text.isdecimal() and 1 <= int(text[:20]) <= COUNT_MAX):
            self.fail(f"'{value}' is not a whole number from 1 to {COUNT_MAX:,}", param, ctx)
        return int(text)


class Seconds(click.ParamType[float]):
    """A time: 30s, 5m, 1h, 500ms, or a plain number of seconds."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        found = _TIME.fullmatch(str(value).strip())
        seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
        if seconds <= 0:
            self.fail(f"'{value}' is not a time: 30s, 5m, 1h or 500ms", param, ctx)
        if seconds > SECONDS_MAX:
            self.fail(f"'{value}' is more than a year", param, ctx)
        return seconds


class Folder(click.ParamType[Path]):
    """A folder that is there, or that can be made."""

    name = "dir"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        path = Path(str(value))
        if not str(value):
            self.fail("an empty path", param, ctx)
        if path.exists() and not path.is_dir():
            self.fail(f"'{value}' is not a folder", param, ctx)
        return path


class OneOf(click.ParamType[str]):
    """One of some words; another is told the nearest."""

    name = "word"

    def __init__(self, what: str, words: Iterable[str]) -> None:
        self.what = what
        self.words = tuple(words)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        if value not in self.words:
            hint = nearest(str(value), self.words)
            self.fail(f"'{value}' is not {self.what}{hint} ({self._all()})", param, ctx)
        return str(value)

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        return self._all()

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]

    def _all(self) -> str:
        return f"one of: {', '.join(self.words)}"


class Played(click.ParamType[str]):
    """A revision or a defect: a name of ours, or the path of a Python file, which is read here."""

    name = "name"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        text = str(value)
        if not text.endswith(".py"):
            return text
        from experiments.harness.own import read_own

        return read_own(text)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from clusters.lineup import SOUND, defects, revisions

        words = [SOUND, *revisions()] if param.name == "revision" else list(defects())
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]


# --- Options --------------------------------------------------------------------------------------

REVISION: Final = click.option(
    "--revision", type=Played(), metavar="NAME",
    help="A published state of the protocol, or your own in a file: ./mine.py.",
)  # fmt: skip
DEFECT: Final = click.option(
    "--defect", "defects", multiple=True, type=Played(), metavar="NAME",
    help="A known mistake on top of it, or ./mine.py (repeatable).",
)  # fmt: skip
CHANGES: Final = click.option(
    "--set", "changes", multiple=True, metavar="PATH=VALUE",
    help="Change the file for once, e.g. pool.pasids=4 (repeatable).",
)  # fmt: skip
MAX_STEPS: Final = click.option(
    "--max-steps", type=Count(), metavar="N",
    help="Faults end after N deliveries; then all must come to rest.",
)  # fmt: skip
EXPERIMENT: Final = click.argument("file", type=click.Path(path_type=Path))


def strategy_options(verb: F) -> F:
    """--strategy and --depth."""
    for option in (
        click.option(
            "--depth", type=Count(), metavar="N",
            help="Of pct, delay-bounded, breadth-first, fail-nth: changes, delays, faults at most.",
        ),
        click.option(
            "--strategy", metavar="NAME",
            help="How schedules are made (default: the file's; see: pasidlab list strategies).",
        ),
    ):  # fmt: skip
        verb = option(verb)
    return verb


def runs_option(about: str) -> Callable[[F], F]:
    """--runs-dir."""
    return click.option(
        "--runs-dir", default="runs", show_default=True, envvar="PASIDLAB_RUNS_DIR",
        type=Folder(), metavar="DIR", help=f"{about}; or set PASIDLAB_RUNS_DIR.",
    )  # fmt: skip


def answer_options(verb: F) -> F:
    """--json, -q, --no-color: how a verb answers."""
    for option in (
        click.option("--no-color", is_flag=True, help="No colours, also on a terminal."),
        click.option("-q", "--quiet", is_flag=True, help="No talk on stderr."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout."),
    ):
        verb = option(verb)
    return verb


def experiment_options(verb: F) -> F:
    """FILE, and what goes with it."""
    return EXPERIMENT(played_options(verb))


def played_options(verb: F) -> F:
    """--seed, --set, --revision, --defect, --runs-dir, and how to answer."""
    verb = answer_options(verb)
    for option in (
        runs_option("Where run folders go"),
        DEFECT,
        REVISION,
        CHANGES,
        click.option("--seed", type=Seed(), help="Where all chance comes from (default: drawn)."),
    ):
        verb = option(verb)
    return verb


class Asked(Struct, frozen=True):
    """An experiment as the command line asks for it: a file, and changes for this once."""

    file: Path
    changes: tuple[str, ...] = ()
    revision: str | None = None
    defects: tuple[str, ...] = ()
    max_steps: int | None = None
    strategy: str | None = None
    depth: int | None = None

    def all_changes(self) -> tuple[str, ...]:
        """The options as changes of the file."""
        changes = list(self.changes)
        if self.revision is not None:
            changes.append(f"revision={json.dumps(self.revision)}")
        if self.max_steps is not None:
            changes.append(f"explore.max_steps={self.max_steps}")
        if self.strategy is not None:
            changes.append(f"explore.strategy={json.dumps(self.strategy)}")
        if self.strategy is not None or self.depth is not None:
            changes.append(f"explore.depth={self.depth or 0}")
        return tuple(changes)

    def search_words(self) -> tuple[str, ...]:
        """What it says on the command line of `explore`."""
        words = [*self.words()]
        if self.strategy is not None:
            words += ["--strategy", self.strategy]
        if self.depth is not None:
            words += ["--depth", str(self.depth)]
        return tuple(words)

    def words(self) -> tuple[str, ...]:
        """What it says on the command line of any verb."""
        words = [str(self.file)]
        for change in self.changes:
            words += ["--set", change]
        if self.revision is not None or self.defects:
            words += self._played()
        if self.max_steps is not None:
            words += ["--max-steps", str(self.max_steps)]
        return tuple(words)

    def _played(self) -> list[str]:
        """--revision and --defect, files by their paths."""
        from experiments.harness.own import said

        words = [] if self.revision is None else ["--revision", said(self.revision)]
        for defect in self.defects:
            words += ["--defect", said(defect)]
        return words
