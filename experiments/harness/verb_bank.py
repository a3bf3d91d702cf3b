"""`pasidlab bank`: every known bug, found again."""

import sys
import time
from typing import TYPE_CHECKING

import click

from experiments.harness.jobs import Jobs, jobs_options
from experiments.harness.options import Count, Played, Seconds, Verb, answer_options
from experiments.harness.say import Voice, columns, many

if TYPE_CHECKING:
    from experiments.harness.banking import BankResult, BugResult, Silence


@click.command(
    "bank",
    cls=Verb,
    epilog="Exit codes: 0 all found and the sound protocol silent, 1 one missed or not silent, "
    "2 wrong command or file, 130 interrupted.",
    examples=(
        "pasidlab bank -j auto",
        "pasidlab bank find-by-spid-while-pending --seeds 100",
        "pasidlab bank --sound 100000000 -j auto",
    ),
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--seeds", type=Count(), help="Seeds for each bug (default: 20).")
@click.option("--schedules", type=Count(), help="A seed gives up after so many (default: 20,000).")
@click.option("--for", "seconds", type=Seconds(), help="A seed gives up after this (default: 10s).")
@click.option("--no-shrink", is_flag=True, help="Leave the stories as they were found.")
@click.option(
    "--sound", "deliveries", type=Count(), metavar="N",
    help="Instead: N deliveries of the sound protocol, spread over the bugs' experiments.",
)  # fmt: skip
@click.option(
    "--defect", "defects", multiple=True, type=Played(), metavar="NAME",
    help="A mistake more, in all of them: a name, or ./mine.py (repeatable).",
)  # fmt: skip
@jobs_options
@answer_options
def command(
    *,
    names: tuple[str, ...],
    defects: tuple[str, ...],
    seeds: int | None,
    schedules: int | None,
    seconds: float | None,
    no_shrink: bool,
    deliveries: int | None,
    jobs: int | None,
    place: str,
    address: str,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """Each known bug is looked for with 20 seeds; the sound protocol must be silent there.

    NAME is a bug (see: pasidlab list bugs) or an experiment FILE of your own that says in [expect]
    violated what its defects break; without one all of them are tried.  Figures are medians over
    the seeds, the default strategies, one core.  story: steps of the shortest known.
    """
    from experiments.harness import banking
    from experiments.harness.running import command as command_line
    from experiments.harness.trials import Limit

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    named = banking.bugs(names, defects)
    crew = Jobs(jobs, place, address).workers(voice)
    if deliveries:
        return say_silence(banking.silence(named, deliveries, crew, voice), voice)
    limit = Limit(schedules or banking.SCHEDULES, seconds or banking.SECONDS)
    wanted = banking.Wanted(seeds or banking.SEEDS, limit, shrink=not no_shrink)
    began = time.monotonic()
    results, interrupted = banking.run(named, wanted, crew, voice)
    spent = time.monotonic() - began
    again = command_line("bank", *sys.argv[2:])
    result = banking.result_of(results, spent, interrupted=interrupted, again=again)
    voice.object(result)
    say(result, len(named), voice)
    return result.exit_code


HEAD = ("bug", "found", "schedules", "seconds", "story", "by")


def say(result: "BankResult", asked: int, voice: Voice) -> None:
    """The table, then what was missed."""
    lines = columns([HEAD, *map(row, result.bugs)], "")
    voice.title(lines[0])
    for line, one in zip(lines[1:], result.bugs, strict=True):
        voice.row(line)
        voice.row(f"    {caught(one)}")
    voice.answer()
    for reason in result.reasons:
        voice.answer(f"missed     {reason}")
    counts = result.counts
    of = "" if len(result.bugs) == asked else f" of {asked}"
    found = len(result.bugs) - counts["missed"]
    voice.verdict(
        result.verdict.value,
        f"{found} of {many(len(result.bugs), 'bug')}{of} found in {result.seconds:.1f} s; the sound"
        f" protocol silent in {counts['sound_schedules']:,} schedules",
    )


def row(one: "BugResult") -> tuple[str, ...]:
    """A bug's line."""
    return (
        one.name,
        f"{one.found}/{one.seeds}",
        f"{one.schedules:,.0f}",
        f"{one.seconds:.3f}",
        str(one.story or "-"),
        next(iter(one.strategies), "-"),
    )


def caught(one: "BugResult") -> str:
    """The properties that it broke first, and of how many seeds, if there is more than one."""
    if len(one.properties) == 1:
        return next(iter(one.properties))
    return ", ".join(f"{name} {n}" for name, n in one.properties.items()) or "nothing"


def say_silence(silence: "Silence", voice: Voice) -> int:
    """What the sound protocol did not violate."""
    from experiments.harness.result import Exit

    code = Exit.VIOLATION if silence.broken else Exit.PASS
    if silence.interrupted and not silence.broken:
        code = Exit.INTERRUPTED
    voice.object(silence)
    for said, schedule in silence.broken.items():
        voice.answer(f"violated   {said}  (by {schedule})")
    words = {Exit.VIOLATION: "violation", Exit.PASS: "pass", Exit.INTERRUPTED: "interrupted"}
    voice.verdict(
        words[code],
        f"the sound protocol, {silence.deliveries:,} deliveries in {silence.schedules:,} schedules"
        f" of {many(silence.bugs, 'bug')}, {silence.seconds:.1f} s",
    )
    return int(code)
