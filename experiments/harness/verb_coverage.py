"""`pasidlab coverage`: how much of the model a live run has visited."""

from pathlib import Path

import click

from clusters.sim.search.visited import STATES
from experiments.harness.options import EXIT_CODES, Count, Verb, answer_options, runs_option
from experiments.harness.say import Voice


@click.command(
    "coverage",
    cls=Verb,
    epilog=EXIT_CODES,
    examples=(
        "pasidlab coverage latest",
        "pasidlab coverage kill_everyone",
        "pasidlab coverage runs/kill_everyone/latest --states 500000",
    ),
)
@click.argument("what", metavar="RUN")
@click.option(
    "--states", type=Count(), metavar="N", help=f"States to search at most (default: {STATES:,})."
)
@runs_option("Where runs are")
@answer_options
def command(
    *, what: str, states: int | None, runs_dir: Path, as_json: bool, quiet: bool, no_color: bool
) -> int:
    """Which states and races of the simulator's search a live run has visited, in per cent.

    From the states of the run the search goes outwards.  A race is two messages that wait for one
    actor, and which comes first; the nearest that the run did not visit are named.
    """
    from experiments.harness.covering import coverage

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    return coverage(what, states or STATES, runs_dir, voice)
