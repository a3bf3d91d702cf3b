"""Why a schedule violates a property, for people and for `result.json`."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Final

from clusters.causes import slice_of
from clusters.judge import Violation
from clusters.sim.branching import crossed
from clusters.sim.explain import Budget, Explanation, Nearest, explain
from clusters.sim.tape import Tape
from clusters.sim.world import Setup
from experiments.harness.result import (
    ChanceResult,
    ExplanationResult,
    GuiltResult,
    NearestResult,
)
from experiments.harness.say import KEY_WIDTH, Voice, columns, many
from experiments.harness.story import told
from protocol.history import Record

WIDTH: Final = 80
BAR: Final = 40
"""How long the bar of a probability of 1 is."""
FULL: Final = Budget()
"""For an explanation that was asked for."""
QUICK: Final = Budget(deliveries=300_000, tries=300, walks=50)
"""For an explanation that nobody asked for: a second or two."""
MARK: Final = "<- here"


def explained(
    setup: Setup,
    tape: Tape,
    violation: Violation,
    records: Sequence[Record],
    budget: Budget,
) -> ExplanationResult:
    """The explanation of a violation, with the causal slice of its history."""
    found = explain(setup, tape, violation.property, budget)
    part = slice_of(records, violation)
    return ExplanationResult(
        property=violation.property,
        sentences=(guilt_sentence(found), nearest_sentence(found.nearest)),
        guilty=_guilty(found),
        nearest=_nearest(found.nearest),
        curve=tuple(
            ChanceResult(one.choices, one.step, one.walks, one.failed)
            for one in found.chances.curve
        ),
        tries=found.nearest.tries,
        cut=found.chances.cut or found.nearest.cut,
        subject=part.subject.words(),
        slice=tuple(told(records, part)),
    )


def say_why(why: ExplanationResult, voice: Voice) -> None:
    """The guilty step with its numbers, the nearest schedule that holds, and the curve."""
    say_sentences(why, voice)
    voice.answer()
    for line in curve(why):
        voice.answer(line)


def say_sentences(why: ExplanationResult, voice: Voice) -> None:
    """The guilty step with its numbers, and the nearest schedule that holds."""
    for key, sentence in zip(("guilty", "nearest"), why.sentences, strict=True):
        first, *others = wrap(sentence, WIDTH - KEY_WIDTH, break_on_hyphens=False)
        voice.keyed(key, first)
        for line in others:
            voice.keyed("", line)


def marks(why: ExplanationResult | None) -> dict[int, str]:
    """What the story says at its steps."""
    return {why.guilty.step: MARK} if why and why.guilty and why.guilty.clear else {}


def curve(why: ExplanationResult) -> list[str]:
    """The probability of failure after each prefix that was tried, as a table with bars."""
    guilty = why.guilty.choice if why.guilty else 0
    rows = [("choices", "step", "fails", "")]
    for one in why.curve:
        share = one.failed / one.walks
        bar = "#" * round(BAR * share)
        mark = f" {MARK}" if guilty and one.choices == guilty else ""
        rows.append((str(one.choices), str(one.step), f"{share:.2f}", f"{bar}{mark}".lstrip()))
    return [line.rstrip() for line in columns(rows)]


def guilt_sentence(found: Explanation) -> str:
    """Which choice made it fail, with its numbers; or that none did."""
    chances = found.chances
    first = chances.curve[0]
    walks = many(first.walks, "random schedule")
    stretch = chances.stretch
    if chances.cut and stretch is None:
        return "not found: the budget ended before"
    if stretch is None or not (chances.guilty or chances.cut):
        return f"no step: of {walks} {first.failed} fail from the start, whatever comes first"
    before, after = stretch
    goes = f"from {before.share:.2f} to {after.share:.2f}"
    if chances.cut:
        return (
            f"one of the steps {before.step} to {after.step}: over them the probability of failure"
            f" goes {goes} ({walks} each; the budget ended before it was found)"
        )
    where = f"step {after.step}, {_what(found)}"
    if not chances.clear:
        return (
            f"no single step: the probability of failure rises little by little, most at {where}:"
            f" {goes} ({walks} each)"
        )
    return f"{where}: after it the probability of failure goes {goes} ({walks} each)"


def nearest_sentence(nearest: Nearest) -> str:
    """What would have had to be otherwise, and of how many schedules that is known."""
    spent = ", the budget ended" if nearest.cut else ""
    if nearest.tape is None:
        return f"{nearest.sentence} ({many(nearest.tries, 'schedule')} tried{spent})"
    return (
        f"step {nearest.step}: {nearest.sentence} (the latest place of"
        f" {many(nearest.tries, 'schedule')} tried{spent})"
    )


def _what(found: Explanation) -> str:
    return crossed(found.crossings[found.chances.guilty - 1])


def _guilty(found: Explanation) -> GuiltResult | None:
    chances = found.chances
    if chances.stretch is None or not chances.guilty:
        return None
    before, after = chances.stretch
    return GuiltResult(
        choice=chances.guilty,
        step=after.step,
        chosen=_what(found),
        before=before.share,
        after=after.share,
        clear=chances.clear,
    )


def _nearest(nearest: Nearest) -> NearestResult | None:
    if nearest.tape is None:
        return None
    return NearestResult(
        nearest.choice, nearest.step, nearest.chosen, nearest.instead, nearest.recorded
    )
