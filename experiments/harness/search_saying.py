"""What is said of a stateful search: what it looked at, within which bounds, and how to go on."""

import textwrap
from typing import Final

from experiments.harness.result import Result, Status
from experiments.harness.running import Outcome, Searched
from experiments.harness.say import KEY_WIDTH, Voice, many
from experiments.harness.store import CHECKPOINT
from protocol.properties.property import Kind

WIDTH: Final = 78


def size_of(searched: Searched, seconds: float) -> str:
    """How much it looked at."""
    counts = f"{many(searched.states, 'state')}, {many(searched.moves, 'move')}"
    return f"{counts}, depth {searched.depth:,} ({seconds:.1f} s)"


def say_search(outcome: Outcome, searched: Searched, result: Result, voice: Voice) -> None:
    """The verdict of a search that found nothing, then its bounds."""
    size = size_of(searched, outcome.seconds)
    match result.verdict:
        case Status.PROVED:
            judged = [p for p in result.properties if p.kind != Kind.SOMETIMES.value]
            held = many(len(judged), "property")
            hold = "holds" if len(judged) == 1 else "hold"
            voice.verdict("proved", f"{held} {hold} within these bounds")
        case Status.INTERRUPTED:
            voice.verdict("interrupted", "nothing was violated in what was searched")
        case _ if searched.why:
            voice.verdict("unknown", f"{searched.why}; nothing was violated until then")
        case _:
            voice.verdict("unknown", "nothing is violated within these bounds, but")
            for reason in result.reasons:
                voice.answer(f"  {reason}")
    say_bounds(searched, voice)
    voice.keyed("searched", size)


def say_bounds(searched: Searched, voice: Voice) -> None:
    """Each bound on a line of its own."""
    key = "bounds"
    for bound in searched.bounds:
        first = f"{key:<{KEY_WIDTH}}"
        rest = " " * (KEY_WIDTH + 2)
        for line in textwrap.wrap(bound, WIDTH, initial_indent=first, subsequent_indent=rest):
            voice.answer(line)
        key = ""


def resume_words(searched: Searched, folder: str) -> tuple[str, ...]:
    """The options that let it go on; nothing if there is nothing to go on from."""
    return ("--resume", folder) if searched.checkpoint and folder else ()


def written(searched: Searched) -> dict[str, bytes]:
    """The files that a search leaves."""
    return {CHECKPOINT: searched.checkpoint} if searched.checkpoint else {}
