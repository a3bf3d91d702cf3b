"""Recorded runs of the IOMMU core to test with, whole, cut off and changed."""

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Final

import msgspec

from clusters.cluster import ActorClass
from clusters.conformance.attach import AttachCalls
from clusters.conformance.calls import Call, Value
from clusters.conformance.linearize import Budget, Found, Search
from clusters.conformance.machine import TraceMachine
from clusters.conformance.operations import Operation, operations_of
from clusters.conformance.trace import read_calls
from clusters.lineup import Lineup
from experiments.harness.conforming import MACHINES
from experiments.harness.reading import decode
from tests.conformance.traces import DATA, _drop, _swap, _with

KERNELS: Final = ("6.12", "7.3")
MACHINE: Final = {
    kernel: decode((MACHINES / f"linux-{kernel}.toml").read_text(), "machine", TraceMachine)
    for kernel in KERNELS
}
FORMS: Final = (".jsonl.gz", ".trace.gz")
FILES: Final = sorted(
    path for kernel in KERNELS for form in FORMS for path in DATA.glob(f"{kernel}-*{form}")
)
RUNS: Final = sorted({path.name.rpartition(".")[0].rpartition(".")[0] for path in FILES})


def kernel_of(run: str) -> str:
    """`7.3` of `7.3-t4-small`."""
    return run.partition("-")[0]


def core_of(kernel: str) -> ActorClass:
    """The IOMMU core of the kernel."""
    return Lineup(f"linux-{kernel}").classes()["iommu_core"]


@cache
def recorded(run: str) -> list[Call]:
    """The calls of a run, from one of its files."""
    path = next(path for path in FILES if path.name.startswith(f"{run}."))
    return read_calls(path, MACHINE[kernel_of(run)])


def judged(
    calls: Sequence[Call], kernel: str, budget: Budget | None = None
) -> tuple[list[Operation], Found]:
    """The operations, and what the search says."""
    vocabulary = AttachCalls(MACHINE[kernel], calls)
    operations = operations_of(calls, vocabulary)
    actor = vocabulary.actor(core_of(kernel))
    return operations, Search(operations, actor, budget or Budget(), vocabulary).run()


# --- Mutations ------------------------------------------------------------------------------------


def mutated(calls: Sequence[Call], kind: str, random: Random) -> list[Call]:
    """The same with one thing changed."""
    made = {"return": _return, "swap": _swap, "drop": _drop, "number": _number, "name": _name}
    return made[kind](calls, random)


def _return(calls: Sequence[Call], random: Random) -> list[Call]:
    """Another result of the same function, of a call or of the driver."""
    at = random.choice(
        [at for at, call in enumerate(calls) if call.ret is not None and call.seq_return]
    )
    call = calls[at]
    others: list[Value] = [
        one.ret for one in calls if one.call == call.call and one.ret not in (call.ret, None)
    ]
    ret = random.choice(others) if others else "-EPERM"
    return _with(calls, at, msgspec.structs.replace(call, ret=ret))


def _number(calls: Sequence[Call], random: Random) -> list[Call]:
    """Another PASID in the arguments."""
    at = random.choice([at for at, call in enumerate(calls) if "pasid" in call.args])
    number = random.choice([one for one in range(9) if one != calls[at].args["pasid"]])
    args = {**calls[at].args, "pasid": number}
    return _with(calls, at, msgspec.structs.replace(calls[at], args=args))


def _name(calls: Sequence[Call], random: Random) -> list[Call]:
    """Another domain, handle, type or old domain."""
    keys = ("domain", "handle", "old", "type", "owner")
    at = random.choice([at for at, call in enumerate(calls) if {*keys} & {*call.args}])
    call = calls[at]
    key = random.choice([one for one in keys if one in call.args])
    others: list[Value] = [
        one.args[key]
        for one in calls
        if key in one.args and one.args[key] not in (call.args[key], None)
    ]
    if not others:
        return list(calls)
    args = {**call.args, key: random.choice(others)}
    return _with(calls, at, msgspec.structs.replace(call, args=args))
