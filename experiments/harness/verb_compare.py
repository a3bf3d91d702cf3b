"""`pasidlab compare`: revisions side by side."""

import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from msgspec import structs

from experiments.harness.jobs import Jobs, jobs_options
from experiments.harness.options import CHANGES, Asked, Count, Played, Seed, Verb, answer_options
from experiments.harness.say import Voice, many

if TYPE_CHECKING:
    from experiments.harness.comparing import Column, Comparison, Wanted
    from experiments.harness.config import Experiment

CELL_MIN: Final = 7
NAME: Final = 37
WIDTH: Final = 100
NOT_JUDGED: Final = "n/a"
FIGURES: Final = (
    "messages per life",
    "free to reclaim, deliveries, p50",
    "                             p99",
    "PASIDs reclaimed of 100 lives",
    "blocked accesses per 100 lives",
    "INVALID responses per 100 lives",
)


@click.command(
    "compare",
    cls=Verb,
    epilog="Exit codes: 0 all held, 1 one of them violates something, 2 wrong command or file, "
    "130 interrupted.",
    examples=(
        "pasidlab compare experiments/ioasid/free_before_unbind.toml -j auto",
        "pasidlab compare experiments/ioasid/vm_killed.toml --revision v4",
        "pasidlab compare experiments/ioasid/vm_killed.toml --revision ./mine.py",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--revision", "chosen", multiple=True, type=Played(), metavar="NAME",
    help="A published revision, or your own: ./mine.py (repeatable; default: all that can).",
)  # fmt: skip
@click.option(
    "--defect", "defects", multiple=True, type=Played(), metavar="NAME",
    help="A known mistake on top of each of them (repeatable).",
)  # fmt: skip
@click.option("--schedules", type=Count(), help="How many of each (default: 200).")
@CHANGES
@click.option("--seed", type=Seed(), help="Where all chance comes from (default: 1).")
@jobs_options
@answer_options
def command(
    *,
    file: Path,
    chosen: tuple[str, ...],
    defects: tuple[str, ...],
    schedules: int | None,
    changes: tuple[str, ...],
    seed: int | None,
    jobs: int | None,
    place: str,
    address: str,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """What each revision does in the same schedules of an experiment FILE.

    Per property: held, or the number of the first schedule in which it is violated.  Then what it
    costs: messages per life of a PASID, deliveries from free to reclaim, and the churn of devices
    (accesses that were blocked and page requests answered INVALID, per 100 lives).
    """
    from experiments.harness.comparing import SCHEDULES, Wanted, comparable, compared
    from experiments.harness.setup import loaded

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    asked = Asked(file, changes, None, defects)
    refused: dict[str, str] = {}
    if not chosen:
        every, refused = comparable(loaded(asked), str(file))
        chosen = tuple(every)
    experiments = lined_up(asked, chosen)
    for why in dict.fromkeys(refused.values()):
        names = [name for name, said in refused.items() if said == why]
        voice.talk(f"not asked: {', '.join(names)}: {why}")
    wanted = Wanted(str(file), 1 if seed is None else seed, schedules or SCHEDULES)
    began = time.monotonic()
    columns = compared(experiments, wanted, Jobs(jobs, place, address).workers(voice), voice)
    result = result_of(experiments, wanted, columns, time.monotonic() - began)
    voice.object(result)
    say(result, voice)
    return result.exit_code


def bisect(asked: Asked, revisions: str, wanted: "Wanted", jobs: Jobs, voice: Voice) -> int:
    """Which revision of a range broke or mended what; for `explore --bisect-revisions`."""
    from experiments.harness.comparing import between, changes, compared
    from experiments.harness.setup import loaded

    experiments = lined_up(asked, between(revisions, loaded(asked).stack))
    began = time.monotonic()
    columns = compared(experiments, wanted, jobs.workers(voice), voice)
    result = result_of(experiments, wanted, columns, time.monotonic() - began)
    voice.object(result)
    for line in changes(columns):
        voice.answer(line)
    voice.answer()
    voice.answer(
        f"{many(wanted.schedules, 'schedule')} of each, seed {wanted.seed:#x},"
        f" {result.seconds:.1f} s"
    )
    return result.exit_code


def lined_up(asked: Asked, chosen: Sequence[str]) -> "dict[str, Experiment]":
    """The experiment once for each revision."""
    from clusters.lineup import check_played
    from experiments.harness.setup import loaded

    experiment = loaded(asked)
    made = {name: structs.replace(experiment, revision=name) for name in dict.fromkeys(chosen)}
    for one in made.values():
        check_played(one.lineup, one.played, "--revision", "--defect")
    return made


def result_of(
    experiments: "dict[str, Experiment]",
    wanted: "Wanted",
    columns: "tuple[Column, ...]",
    seconds: float,
) -> "Comparison":
    """The whole, as `--json` has it."""
    from experiments.harness.comparing import Comparison, does_not_apply, held, judged
    from experiments.harness.result import Exit, Status
    from experiments.harness.running import command as command_line

    violated = any(one.violated for one in columns)
    by = judged(experiments, wanted.where)
    return Comparison(
        experiment=wanted.where,
        title=next(iter(experiments.values())).title,
        seed=wanted.seed,
        schedules=wanted.schedules,
        verdict=Status.VIOLATION if violated else Status.PASS,
        exit_code=int(Exit.VIOLATION if violated else Exit.PASS),
        columns=columns,
        held=tuple(held(by, columns)),
        does_not_apply=does_not_apply(by),
        seconds=round(seconds, 3),
        again=command_line("compare", *sys.argv[2:]),
    )


def say(result: "Comparison", voice: Voice) -> None:
    """The table, in as many blocks as the width asks for."""
    columns = list(result.columns)
    while columns:
        at_once = fitting(result, columns)
        for line in block(result, columns[:at_once]):
            voice.answer(line)
        columns = columns[at_once:]
        if columns:
            voice.answer()
    voice.answer()
    names = broken(result)
    if names:
        voice.answer("a number beside a property: the first schedule in which it is violated")
    for name in names:
        first = next(one for one in result.columns if name in one.violated)
        how = first.violated[name]
        voice.answer(f"{name}  ({first.revision}, schedule {how.first})")
        voice.answer(f"    {how.sentence}")
    for revision, missing in result.does_not_apply.items():
        said = (
            f"does not apply to {revision}: {many(len(missing), 'property')}, {', '.join(missing)}"
        )
        for line in textwrap.wrap(said, WIDTH, subsequent_indent="    ", break_on_hyphens=False):
            voice.answer(line)
    voice.answer(
        f"{many(len(result.held), 'property')} more held in all of them;"
        f" {many(result.schedules, 'schedule')} of each, seed {result.seed:#x},"
        f" {result.seconds:.1f} s"
    )


def fitting(result: "Comparison", columns: "Sequence[Column]") -> int:
    """How many columns go into the terminal's width; all, where there is no terminal."""
    if not sys.stdout.isatty():
        return len(columns)
    left, count = shutil.get_terminal_size().columns - NAME, 0
    for one in columns:
        left -= width(cells(result, one))
        if left < 0:
            break
        count += 1
    return max(1, count)


def width(cells: Sequence[str]) -> int:
    """Of a column, its name first: that and its widest figure are apart from the one before."""
    return max(CELL_MIN, len(cells[0]) + 2, *(len(cell) + 1 for cell in cells))


def block(result: "Comparison", columns: "Sequence[Column]") -> list[str]:
    """The lines of some columns."""
    names = ["", *broken(result), *FIGURES]
    texts = [cells(result, one) for one in columns]
    widths = [width(one) for one in texts]
    return [
        f"{name:<{NAME}}"
        + "".join(f"{text[k]:>{w}}" for text, w in zip(texts, widths, strict=True))
        for k, name in enumerate(names)
    ]


def broken(result: "Comparison") -> list[str]:
    """The properties that somebody violates: a row each."""
    return sorted({name for one in result.columns for name in one.violated})


def cells(result: "Comparison", one: "Column") -> list[str]:
    """A column: who it is, what became of each property, what it costs."""
    return [
        one.revision,
        *(cell(result, name, one) for name in broken(result)),
        figure(one.messages),
        number(one.reclaim_p50),
        number(one.reclaim_p99),
        share(one.reclaimed, one.lives),
        figure(one.faults),
        figure(one.invalid),
    ]


def cell(result: "Comparison", name: str, one: "Column") -> str:
    """Where a property was violated first; held, unless the revision is not judged by it."""
    if name in one.violated:
        return str(one.violated[name].first)
    judged = name not in result.does_not_apply.get(one.revision, ())
    return "held" if judged else NOT_JUDGED


def number(value: int | None) -> str:
    """A number, or that there is none."""
    return "-" if value is None else f"{value:,}"


def figure(value: float | None) -> str:
    """A figure, or that there is none."""
    return "-" if value is None else f"{value:.1f}"


def share(count: int, lives: int) -> str:
    """So many of a hundred."""
    return f"{100 * count / lives:.0f}" if lives else "-"
