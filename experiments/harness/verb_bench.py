"""`pasidlab bench`: how fast it is on this machine."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import structs

from experiments.harness.options import Verb, answer_options
from experiments.harness.say import Voice, many

if TYPE_CHECKING:
    from experiments.harness.bench_against import Comparison
    from experiments.harness.measuring import Effort, Figure


@click.command(
    "bench",
    cls=Verb,
    epilog="Exit codes: 0 measured, 2 wrong command or file, 130 interrupted.",
    examples=(
        "pasidlab bench",
        "pasidlab bench --json > before.json",
        "pasidlab bench --against before.json",
        "pasidlab bench 'model C' check",
        "pasidlab bench live",
    ),
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--list", "listing", is_flag=True, help="What can be measured, and beside what.")
@click.option("--quick", is_flag=True, help="See that all can be measured; the figures say little.")
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="FILE",
    help="Compare with an earlier output of bench --json.",
)  # fmt: skip
@answer_options
def command(
    *,
    names: tuple[str, ...],
    listing: bool,
    quick: bool,
    against: Path | None,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """How fast it is on this machine: deliveries, schedules, bugs, checks, start, memory.

    NAME is the name of a figure, or a part of it; without one all that need no Ray are measured, in
    about two minutes (`live` names the others).  Each figure is beside a reference measured in
    turns with it (see --list), and their ratio is what can be compared: --against does, and says
    what got worse by more than the noise.
    """
    from experiments.harness.bench_against import Bench, compare, read_bench
    from experiments.harness.benching import chosen, figures
    from experiments.harness.measuring import QUICK, WHOLE
    from experiments.harness.result import Exit

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    effort = QUICK if quick else WHOLE
    wanted = chosen(names, effort)
    if listing:
        return show(wanted, effort, voice)
    earlier = read_bench(against) if against else None
    found: list[Figure] = []
    interrupted = False
    voice.title(row("", "figure", "", "reference", "ratio"))
    try:
        for one in figures(wanted, effort):
            found.append(one)
            say(one, voice)
    except KeyboardInterrupt:
        interrupted = True
    bench = Bench(
        verb="bench",
        python=platform.python_version(),
        cores=os.cpu_count(),
        quick=quick,
        interrupted=interrupted,
        figures=tuple(found),
    )
    if against and earlier:
        bench = structs.replace(bench, against=compare(against, earlier, bench, names))
        assert bench.against is not None
        say_comparison(bench.against, voice)
    voice.object(bench)
    if interrupted:
        voice.talk(f"interrupted after {len(found)} of {many(len(wanted), 'figure')}  (exit 130)")
        return int(Exit.INTERRUPTED)
    return 0


def show(names: Sequence[str], effort: "Effort", voice: Voice) -> int:
    """What can be measured."""
    from experiments.harness.benching import measurements

    there = [one for each in measurements(effort) for one in each.yardsticks if one.name in names]
    voice.object({"figures": there})
    for one in there:
        voice.row(f"{one.name:<35} {one.unit:<12} {one.beside}")
    return 0


def say(one: "Figure", voice: Voice) -> None:
    """One figure, and what there is to be said of it."""
    amounts = number(one.figure), one.unit, number(one.reference), number(one.ratio)
    voice.answer(row(one.name, *amounts))
    if one.note:
        voice.answer(f"  {one.note}")


def say_comparison(comparison: "Comparison", voice: Voice) -> None:
    """Ratios side by side, and what cannot be."""
    voice.answer()
    voice.title(f"ratios against {comparison.file}")
    voice.title(f"{'':<35}{'then':>10}{'now':>10}{'now/then':>10}")
    for pair in comparison.pairs:
        amounts = number(pair.then), number(pair.now), number(pair.change)
        said = f"  {pair.word} (>{pair.noise:.0%})" if pair.word else ""
        voice.answer(f"{pair.name:<35}" + "".join(f"{amount:>10}" for amount in amounts) + said)
    for where, names in (("in the file", comparison.gone), ("here", comparison.new)):
        for name in names:
            voice.answer(f"{name:<35} only {where}")
    for remark in comparison.remarks:
        voice.answer(f"  {remark}")
    figures = many(len(comparison.pairs), "figure")
    voice.answer(f"  {comparison.worse} of {figures} got worse by more than their noise")


def row(name: str, figure: str, unit: str, reference: str, ratio: str) -> str:
    """One line, 80 columns wide."""
    return f"{name:<35}{figure:>10} {unit:<12}{reference:>12}{ratio:>10}"


def number(value: float) -> str:
    """Three digits that count, or more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004
