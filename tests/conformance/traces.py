"""Recorded traces to test with, whole, cut off and changed."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from actors.revisions.linux_6_1 import CLASSES
from clusters.cluster import ActorClass
from clusters.conformance.calls import Call, Value
from clusters.conformance.ioasid import IoasidCalls
from clusters.conformance.linearize import Budget, Found, Search
from clusters.conformance.machine import TraceMachine
from clusters.conformance.operations import Operation, operations_of
from clusters.conformance.trace import read_calls
from experiments.harness.conforming import DEFAULT, MACHINES
from experiments.harness.reading import decode

DATA: Final = Path(__file__).resolve().parents[1] / "data"
MACHINE: Final = decode((MACHINES / f"{DEFAULT}.toml").read_text(), "machine", TraceMachine)
CORE: Final[ActorClass] = CLASSES["core"]  # type: ignore[assignment]
RUNS: Final = sorted(path.name.removesuffix(".trace.gz") for path in DATA.glob("io-t*.trace.gz"))


@cache
def recorded(run: str) -> list[Call]:
    """The calls of a run, from the text of its trace."""
    return read_calls(DATA / f"{run}.trace.gz", MACHINE)


def until(calls: Sequence[Call], event: int) -> list[Call]:
    """What would have been recorded if the recording had ended before this event."""
    cut: list[Call] = []
    for call in calls:
        if call.seq_invoke >= event:
            break
        ended = call.seq_return is not None and call.seq_return < event
        open_ = msgspec.structs.replace(call, seq_return=None, cpu_out=None, ret=None)
        cut.append(call if ended else open_)
    return cut


def judged(
    calls: Sequence[Call], budget: Budget | None = None, astray: int | None = None
) -> tuple[list[Operation], Found]:
    """The operations, and what the search says; `astray`: steps after which it forgets."""
    vocabulary = IoasidCalls(MACHINE, calls)
    operations = operations_of(calls, vocabulary)
    search = Search(operations, vocabulary.actor(CORE), budget or Budget(), vocabulary)
    if astray is not None:
        search._astray = astray
    return operations, search.run()


def witness(operations: Sequence[Operation], found: Found) -> list[tuple[int, int]]:
    """The order, by `n` of the calls."""
    assert found.order is not None
    return [(operations[at].call.n, step) for at, step in found.order]


# --- Mutations ------------------------------------------------------------------------------------


def mutated(calls: Sequence[Call], kind: str, random: Random) -> list[Call]:
    """The same with one thing changed."""
    return {"return": _return, "swap": _swap, "drop": _drop, "number": _number}[kind](calls, random)


def _return(calls: Sequence[Call], random: Random) -> list[Call]:
    """Another result of the same function."""
    ended = [at for at, call in enumerate(calls) if call.ret is not None or "find" in call.call]
    at = random.choice([at for at in ended if calls[at].seq_return is not None])
    call = calls[at]
    others: list[Value] = [
        one.ret for one in calls if one.call == call.call and one.ret != call.ret
    ]
    ret = random.choice(others) if others else f"not {call.ret}"
    return _with(calls, at, msgspec.structs.replace(call, ret=ret))


def _swap(calls: Sequence[Call], random: Random) -> list[Call]:
    """Two calls of one task that follow one another change places."""
    backs = {call.parent for call in calls}
    plain = [
        call
        for call in calls
        if call.parent is None and call.n not in backs and call.seq_return is not None
    ]
    pairs = [
        (one, next((two for two in plain if two.task == one.task and two.n > one.n), None))
        for one in plain
    ]
    one, two = random.choice([(one, two) for one, two in pairs if two is not None])
    ones, twos = _place(one), _place(two)
    moved = {one.n: _put(one, twos), two.n: _put(two, ones)}
    return [moved.get(call.n, call) for call in calls]


def _place(call: Call) -> tuple[int, int | None]:
    return call.seq_invoke, call.seq_return


def _put(call: Call, place: tuple[int, int | None]) -> Call:
    return msgspec.structs.replace(call, seq_invoke=place[0], seq_return=place[1])


def _drop(calls: Sequence[Call], random: Random) -> list[Call]:
    """A call is left out, with its callbacks."""
    gone = random.choice([call for call in calls if call.parent is None]).n
    return [call for call in calls if gone not in (call.n, call.parent)]


def _number(calls: Sequence[Call], random: Random) -> list[Call]:
    """Another number in the arguments of a call or of a callback."""
    at = random.choice([at for at, call in enumerate(calls) if {"ioasid", "min"} & {*call.args}])
    name = "ioasid" if "ioasid" in calls[at].args else random.choice(["min", "max"])
    number = random.choice([one for one in range(1, 26) if one != calls[at].args[name]])
    args = {**calls[at].args, name: number}
    return _with(calls, at, msgspec.structs.replace(calls[at], args=args))


def _with(calls: Sequence[Call], at: int, call: Call) -> list[Call]:
    return [*calls[:at], call, *calls[at + 1 :]]
