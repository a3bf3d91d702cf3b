"""`pasidlab conform`: calls recorded on a running kernel, held against our actors."""

from pathlib import Path

import click

from experiments.harness.options import (
    REVISION,
    Count,
    Seconds,
    Verb,
    answer_options,
)
from experiments.harness.say import Voice

EXIT_CODES = (
    "Exit codes: 0 explained, 1 not explained, 2 wrong command, trace or machine file, "
    "3 unknown (calls that are not modelled, or the budget ended), 70 our bug, 130 interrupted."
)


@click.command(
    "conform",
    cls=Verb,
    epilog=EXIT_CODES,
    examples=(
        "pasidlab conform tests/data/io-t4-small.jsonl.gz",
        "pasidlab conform mine.trace.gz --machine mine.toml",
        "pasidlab conform mine.jsonl --revision ./mine.py --for 5m --json",
    ),
)
@click.argument("trace", type=click.Path(path_type=Path))
@REVISION
@click.option(
    "--machine", type=click.Path(path_type=Path), metavar="FILE",
    help="What the trace does not say: devices, allocators (default: as we recorded that kernel).",
)  # fmt: skip
@click.option(
    "--for", "seconds", type=Seconds(), default="2m", show_default=True,
    help="Stop after this time.",
)  # fmt: skip
@click.option(
    "--states", type=Count(), default="2000000", show_default="2,000,000", metavar="N",
    help="Stop at so many configurations.",
)  # fmt: skip
@click.option(
    "--memory", "memory_gb", type=Count(), default="2", show_default=True, metavar="GB",
    help="Stop at so much memory.",
)  # fmt: skip
@answer_options
def command(
    *,
    trace: Path,
    revision: str | None,
    machine: Path | None,
    seconds: float,
    states: int,
    memory_gb: int,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """Say whether a TRACE of a running kernel is explained by our actors.

    TRACE is JSON Lines or the text of ftrace (then with its .map beside it), plain or gzip; see
    docs/record-a-kernel.md.  It is explained if its calls can be put in an order, each between its
    entry and its return, in which the actor of the revision (default: that of the kernel it looks
    like, linux-6.1, linux-6.12 or linux-7.3) gives the recorded answers.  If not, the smallest part
    that cannot be ordered is drawn.
    """
    from clusters.conformance.linearize import Budget
    from experiments.harness.conforming import Asked, conform

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    budget = Budget(states, seconds, memory_gb << 30)
    return conform(Asked(trace, revision, machine, budget), voice)
