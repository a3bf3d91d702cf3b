"""Recorded calls of the SVA core, whole, cut off and changed."""

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Final

import msgspec

from actors.revisions._sva_6_12 import CLASSES
from clusters.cluster import ActorClass
from clusters.conformance.calls import Call, Value
from clusters.conformance.linearize import Budget, Found, Search
from clusters.conformance.machine import TraceMachine
from clusters.conformance.operations import Operation, operations_of
from clusters.conformance.sva import SvaCalls
from clusters.conformance.trace import read_calls
from experiments.harness.conforming import MACHINES
from experiments.harness.reading import decode
from tests.conformance.traces import DATA, mutated

MACHINE: Final = decode((MACHINES / "linux-6.12.toml").read_text(), "machine", TraceMachine)
SVA: Final[ActorClass] = CLASSES["sva"]  # type: ignore[assignment]
RUNS: Final = ("sva-small", "sva-p1t4", "sva-x86-refused")
KINDS: Final = ("return", "swap", "drop", "number", "name")


@cache
def recorded(run: str) -> list[Call]:
    """The calls of a run."""
    return read_calls(DATA / f"{run}.jsonl.gz", MACHINE)


def judged(
    calls: Sequence[Call], kind: ActorClass = SVA
) -> tuple[list[Call], list[Operation], Found]:
    """Those that SVA is about, as operations, and what the search says."""
    vocabulary = SvaCalls(MACHINE, calls)
    own = vocabulary.own(calls)
    operations = operations_of(own, vocabulary)
    found = Search(operations, vocabulary.actor(kind), Budget(seconds=20), vocabulary).run()
    return own, operations, found


def changed(calls: Sequence[Call], kind: str, random: Random) -> list[Call]:
    """The same with one thing changed, in the SVA calls or in what happened directly inside."""
    mine = {call.n for call in SvaCalls(MACHINE, calls).own(calls)}
    if kind in ("number", "name"):
        return _argument([call for call in calls if call.n in mine], kind, random)
    return mutated([call for call in calls if call.n in mine], kind, random)


def _argument(calls: Sequence[Call], kind: str, random: Random) -> list[Call]:
    """Another value of one argument, as other calls have it."""
    wanted = int if kind == "number" else str
    places = [
        (at, name)
        for at, call in enumerate(calls)
        for name, value in call.args.items()
        if value.__class__ is wanted
    ]
    at, name = random.choice(places)
    others: list[Value] = [
        call.args[name]
        for call in calls
        if name in call.args and call.args[name] != calls[at].args[name]
    ]
    args = {**calls[at].args, name: random.choice(others or [2 if kind == "number" else "none"])}
    return [*calls[:at], msgspec.structs.replace(calls[at], args=args), *calls[at + 1 :]]
