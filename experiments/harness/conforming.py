"""Is a recorded trace explained by our actors: the verb `conform`."""

import textwrap
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from clusters.cluster import ROLES, ActorClass, Role, roles_of
from clusters.conformance.calls import Call
from clusters.conformance.calls import shown as shown_call
from clusters.conformance.iommufd import is_iommufd
from clusters.conformance.linearize import Budget, Found, Search
from clusters.conformance.machine import TraceMachine
from clusters.conformance.operations import (
    Operation,
    described,
    operations_of,
    unknown_calls,
)
from clusters.conformance.trace import read_calls
from clusters.conformance.vocabularies import OLDEST, Part, Traced, likely_kernel, parts_of
from clusters.conformance.window import Failure, Window, window_of
from clusters.lineup import Lineup, changed, check, lineup, plays
from experiments.harness.own import said as named
from experiments.harness.reading import decode, read_toml, refuse_odd, shown
from experiments.harness.result import RESULT_FORMAT, Exit, Status
from experiments.harness.say import Voice, many
from experiments.harness.trace_drawing import draw
from protocol.errors import ExperimentError, PasidlabError
from protocol.machine import IOASID, IOMMUFD

DEFAULT: Final = OLDEST
MACHINES: Final = Path(__file__).parent / "machines"
MACHINE_BYTES: Final = 1 << 16
STATES_SHOWN: Final = 3
SHRINK_SECONDS: Final = 30.0


class Asked(Struct, frozen=True):
    """What the command line wants; without a revision the one that the trace looks like."""

    trace: Path
    revision: str | None
    machine: Path | None
    budget: Budget


class WindowResult(Struct, frozen=True, kw_only=True):
    """The calls (their `n`) that cannot be ordered before event `until`; `last` has no place.

    `states` has, for each state that the window can begin in, what matters here.  The calls of
    `also` are drawn, too: they touch the same things, but whatever they did there would be no
    order; so it is with `others`.  Unless the window is the smallest, `cut` says why.
    """

    calls: tuple[int, ...]
    last: int
    until: int
    states: tuple[tuple[str, ...], ...]
    also: tuple[int, ...]
    others: int
    cut: str
    drawing: tuple[str, ...]


class ConformResult(Struct, frozen=True, kw_only=True):
    """The object of --json.

    `order` is a witness: pairs of a call's `n` and the number of its step, of which a call has one
    more than callbacks.  `unknown_calls` are those that the model has no place for.
    """

    format: int = RESULT_FORMAT
    verb: str = "conform"
    trace: str
    revision: str
    machine: str
    verdict: Status
    exit_code: int
    reasons: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    calls: dict[str, int] = {}
    unknown_calls: dict[str, int] = {}
    order: tuple[tuple[int, int], ...] = ()
    window: WindowResult | None = None
    seconds: float = 0.0
    again: str = ""


class Judged(Struct):
    """What there is to say, as far as it goes."""

    reasons: list[str]
    unknown: Mapping[str, int] = {}
    operations: Sequence[Operation] = ()
    found: Found | None = None
    window: Window | None = None
    calls: Traced | None = None


def conform(asked: Asked, voice: Voice) -> int:
    """Read, search, say."""
    began = time.monotonic()
    refuse_odd(asked.trace)
    kernel = likely_kernel(asked.trace)
    asked = structs.replace(asked, revision=asked.revision or kernel)
    machine_file = asked.machine or machine_of(asked.revision or kernel, kernel)
    machine = decode(read_toml(machine_file, MACHINE_BYTES), shown(machine_file), TraceMachine)
    lined = lineup(asked.revision or kernel, ())
    classes = _classes(lined)
    calls = read_calls(asked.trace, machine)
    outermost = [call for call in calls if call.parent is None]
    tasks = {(call.task, call.pid) for call in calls}
    voice.talk(f"{many(len(outermost), 'call')} of {many(len(tasks), 'task')}")
    try:
        parts = parts_of(calls, machine)
        _refuse_others(lined, parts)
        judged = _judge(parts, classes, asked)
    except PasidlabError as error:
        raise type(error)(f"{asked.trace}: {error}") from None

    if judged.window is not None and not machine.look_ups_fail:
        judged.reasons.extend(_advice(judged.window.last.call, calls))
    result = _result(asked, judged, shown(machine_file), began)
    result.counts.update(
        {
            "calls": len(outermost),
            "callbacks": len(calls) - len(outermost),
            "tasks": len(tasks),
            "unfinished": sum(call.seq_return is None for call in calls),
        }
    )
    result.calls.update(Counter(call.call for call in calls))
    voice.object(result)
    _say(result, judged, voice)
    return result.exit_code


def machine_of(revision: str, kernel: str) -> Path:
    """The machine file of a revision, if it has one; else that of the kernel recorded."""
    own = MACHINES / f"{revision}.toml"
    return own if own.exists() else MACHINES / f"{kernel}.toml"


def _classes(lined: Lineup) -> dict[Role, ActorClass]:
    """The actors of a revision."""
    check(lined, "--revision", "")
    return {**ROLES, **roles_of(IOMMUFD), **lined.classes()}


def _refuse_others(lined: Lineup, parts: Sequence[Part]) -> None:
    """What says nothing of the stack that was recorded would only lend its name to the base."""
    roles, asked = changed(lined), [part.role for part in parts]
    stacks = [IOASID if role in ROLES else IOMMUFD for role in asked]
    if any(role in roles for role in asked) or any(plays(lined, stack) for stack in stacks):
        return
    raise ExperimentError(
        f"--revision: '{lined.revision}' is of actors that this trace says nothing of"
        f" ({', '.join(roles)}; it is of {' and '.join(asked)})"
    )


def _judge(parts: Sequence[Part], classes: Mapping[Role, ActorClass], asked: Asked) -> Judged:
    """The first part that is not explained has the word; the order is that of the first."""
    judgements: list[Judged] = []
    ends = time.monotonic() + asked.budget.seconds
    for part in parts:
        judgements.append(_judge_part(part, classes[part.role], asked))
        if judgements[-1].reasons:
            return judgements[-1]
        left = max(1.0, round(ends - time.monotonic()))
        asked = structs.replace(asked, budget=structs.replace(asked.budget, seconds=left))
    return judgements[0]


def _judge_part(part: Part, kind: ActorClass, asked: Asked) -> Judged:
    calls, vocabulary = part.calls, part.vocabulary
    unknown = unknown_calls(calls, vocabulary) + vocabulary.missing(kind, calls)
    revision = named(asked.revision or "")
    if unknown:
        known = sum(call.call in vocabulary.calls and call.parent is not None for call in calls)
        words = ", ".join(f"{name} ({count:,})" for name, count in unknown.most_common())
        inside = f"; {many(known, 'call')} inside them" if known else ""
        known_calls = {call.n for call in calls if call.call in vocabulary.calls}
        if any(call.parent in known_calls for call in calls if call.call in unknown):
            inside += "; what the core calls outwards is described in --machine FILE"
        return Judged([f"{revision} does not model {words}{inside}"], unknown)
    if gap := vocabulary.gaps(calls):
        return Judged([gap])

    operations = operations_of(calls, vocabulary)
    actor = vocabulary.actor(kind)
    found = Search(operations, actor, asked.budget, vocabulary).run()
    judged = Judged([], operations=operations, found=found, calls=vocabulary)
    if found.reason:
        judged.reasons.append(f"no order was found within the budget: {found.reason}")
    elif found.order is None:
        seconds = min(SHRINK_SECONDS, asked.budget.seconds)
        budget = Budget(asked.budget.states, seconds, asked.budget.bytes)
        judged.window = window_of(Failure(operations, actor, found), vocabulary, budget)
        judged.reasons.append(_why(judged.window))
    return judged


def _why(window: Window) -> str:
    last, until = window.last, window.until
    what = "the return of"
    for back in last.callbacks:
        if until == back.seq_invoke:
            what = f"the entry of {shown_call(back)} in"
    return (
        f"no order of the calls gets past event {until}, {what} call {last.call.n} of"
        f" {last.call.task}: {described(last)}"
    )


def _advice(last: Call, calls: Sequence[Call]) -> list[str]:
    """What a machine file could say that makes another answer of it."""
    if last.ret != "-ENOENT" or not is_iommufd(calls):
        return []
    file = shown(MACHINES / "linux-7.3-look-ups-fail.toml")
    return [f"if look-ups of objects were made to fail (fail_iommufd), say so: --machine {file}"]


def _result(asked: Asked, judged: Judged, machine: str, began: float) -> ConformResult:
    found, window = judged.found, judged.window
    order: list[tuple[int, int]] = []
    verdict, code = Status.UNKNOWN, Exit.UNKNOWN
    if found is not None and found.order is not None:
        verdict, code = Status.EXPLAINED, Exit.PASS
        order = [(judged.operations[at].call.n, step) for at, step in found.order]
    elif window is not None:
        verdict, code = Status.NOT_EXPLAINED, Exit.VIOLATION
    revision = named(asked.revision or "")
    words = [str(asked.trace), "--revision", revision]
    if asked.machine is not None:
        words += ["--machine", str(asked.machine)]
    return ConformResult(
        trace=shown(asked.trace),
        revision=revision,
        machine=machine,
        verdict=verdict,
        exit_code=int(code),
        reasons=tuple(judged.reasons),
        counts={} if found is None else {"steps": found.steps, "configurations": found.states},
        unknown_calls=dict(judged.unknown),
        order=tuple(order),
        window=None if window is None else _window_result(window, judged.calls),
        seconds=round(time.monotonic() - began, 3),
        again=" ".join(["pasidlab conform", *words]),
    )


def _window_result(window: Window, calls: Traced | None) -> WindowResult:
    assert calls is not None, "a window is of calls"
    states = {tuple(calls.state(one, window.operations)): None for one in window.states}
    every = (*window.operations, *window.also)
    drawn = sorted(every, key=lambda one: one.call.seq_invoke)
    return WindowResult(
        calls=tuple(one.call.n for one in window.operations),
        last=window.last.call.n,
        until=window.until,
        states=tuple(states),
        also=tuple(one.call.n for one in window.also),
        others=window.others,
        cut=window.cut,
        drawing=tuple(draw(drawn, window.last, window.until)),
    )


# --- On the terminal ------------------------------------------------------------------------------


def _say(result: ConformResult, judged: Judged, voice: Voice) -> None:
    counts = result.counts
    backs = f", {counts['callbacks']:,} inside them" if counts["callbacks"] else ""
    what = f"{many(counts['calls'], 'call')} of {many(counts['tasks'], 'task')}{backs}"
    voice.verdict(result.verdict.value, f"{result.trace}, by {result.revision}")
    voice.keyed("calls", what)
    for reason in result.reasons:
        for line in _wrapped(reason):
            voice.answer(line)
    if judged.found is not None:
        tried = many(judged.found.steps, "step")
        voice.keyed("search", f"{tried} tried, {judged.found.states:,} configurations kept")
    if result.window is not None:
        _say_window(result.window, voice)
    voice.keyed("time", f"{result.seconds:.1f} s")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, 80, initial_indent=f"{'why':<11}", subsequent_indent=" " * 11, break_on_hyphens=False
    )


def _say_window(window: WindowResult, voice: Voice) -> None:
    voice.keyed("window", f"{many(len(window.calls), 'call')} that cannot be ordered")
    also, others = len(window.also), window.others
    if also or others:
        more = f"{also:,} drawn" if not others else f"{also:,} drawn and {others:,} not"
        voice.keyed("", f"whatever those did that ran meanwhile ({more})")
    if window.cut:
        voice.keyed("", f"not the smallest: {window.cut}")
    for at, state in enumerate(window.states[:STATES_SHOWN]):
        key = "before" if at == 0 else "or"
        for line in textwrap.wrap("; ".join(state), 69):
            voice.keyed(key, line)
            key = ""
    if len(window.states) > STATES_SHOWN:
        voice.keyed("", f"or one of {len(window.states) - STATES_SHOWN:,} other states")
    voice.answer()
    for line in window.drawing:
        voice.answer(line)
    voice.answer()
