"""`pasidlab bench`: how fast it is on this machine."""

import os
import platform

import click

from experiments.harness.options import Verb, answer_options
from experiments.harness.say import Voice


@click.command(
    "bench",
    cls=Verb,
    epilog="Exit codes: 0 measured, 130 interrupted.",
    examples=("pasidlab bench", "pasidlab bench --quick", "pasidlab bench --json"),
)
@click.option("--quick", is_flag=True, help="See that all can be measured; the figures say little.")
@answer_options
def command(*, quick: bool, as_json: bool, quiet: bool, no_color: bool) -> int:
    """How fast it is on this machine: deliveries, schedules, checks, start, memory.

    Each figure is beside a reference measured in turns with it: for rates, messages through a queue
    to a handler that does nothing; for the start, a Python that does nothing; for a full pool, a
    dict of that size.  Their ratio is what can be compared.  It takes about a minute.
    """
    from experiments.harness.benching import QUICK, WHOLE, Figure, figures

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    found: list[Figure] = []
    voice.title(row("", "figure", "", "reference", "ratio"))
    for one in figures(QUICK if quick else WHOLE):
        found.append(one)
        amounts = number(one.figure), one.unit, number(one.reference), number(one.ratio)
        voice.answer(row(one.name, *amounts))
    voice.object(
        {
            "verb": "bench",
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "quick": quick,
            "figures": found,
        }
    )
    return 0


def row(name: str, figure: str, unit: str, reference: str, ratio: str) -> str:
    """One line, 80 columns wide."""
    return f"{name:<35}{figure:>10} {unit:<12}{reference:>12}{ratio:>10}"


def number(value: float) -> str:
    """Three digits that count, or more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004
