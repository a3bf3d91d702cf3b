"""Recorded iommufd traces to test with, whole, cut off and changed."""

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Final

import msgspec

from actors.iommufd import Iommufd
from clusters.cluster import ActorClass
from clusters.conformance import jsonl
from clusters.conformance.calls import Call, Value
from clusters.conformance.iommufd import IommufdCalls
from clusters.conformance.iommufd_tree import QUESTIONS
from clusters.conformance.linearize import Budget, Found, Search
from clusters.conformance.machine import TraceMachine
from clusters.conformance.operations import Operation, operations_of
from clusters.conformance.reading import Lines
from tests.conformance.traces import DATA

RUNS: Final = ("fd-t2-small", "fd-t4-small", "fd-t1-iopf")
OVERLAPPING: Final = "fd-t2-iopf"
"""Two tasks bring page requests of one device at once."""
RESULTS: Final[tuple[Value, ...]] = (0, "-EBUSY", "-EINVAL", "-ENOENT")
IDS: Final = ("id", "pt_id", "hwpt_id", "dev_id", "pasid")


@cache
def recorded(run: str) -> list[Call]:
    """The calls of a run."""
    return jsonl.read(Lines(DATA / f"{run}.jsonl.gz"))


def judged(
    calls: Sequence[Call], kind: ActorClass = Iommufd, budget: Budget | None = None
) -> tuple[list[Operation], Found, IommufdCalls]:
    """The operations, and what the search says."""
    vocabulary = IommufdCalls(TraceMachine(), calls)
    operations = operations_of(vocabulary.own(calls), vocabulary)
    actor = vocabulary.actor(kind)
    found = Search(operations, actor, budget or Budget(), vocabulary).run()
    return operations, found, vocabulary


# --- Mutations ------------------------------------------------------------------------------------


def mutated(calls: Sequence[Call], kind: str, random: Random) -> list[Call]:
    """The same with one thing changed."""
    change = {"return": _return, "question": _question, "lost": _lost, "id": _id, "drop": _drop}
    return change[kind](calls, random)


def _return(calls: Sequence[Call], random: Random) -> list[Call]:
    """A system call has another result, and so have the functions inside it that passed it on."""
    outer = random.choice([call for call in calls if call.call == "iommufd_fops_ioctl"])
    ret = random.choice([one for one in RESULTS if one != outer.ret])
    inner = next(call for call in calls if call.parent == outer.n)
    return _with(calls, msgspec.structs.replace(inner, ret=ret))


def questions(calls: Sequence[Call]) -> list[Call]:
    """What iommufd asks; what the core looks up to report a fault is the core's affair."""
    core = {call.n for call in calls if call.call == "iommu_report_device_fault"}
    return [call for call in calls if call.call in QUESTIONS and call.parent not in core]


def _question(calls: Sequence[Call], random: Random) -> list[Call]:
    """The core, or the driver, was told something else."""
    asked = questions(calls)
    call = random.choice(asked)
    told = [one for one in call.args if one not in ("type", "flags", "owner")]
    name = random.choice([one for one in told if one != "group" or "dev" not in call.args])
    others = [one.args[name] for one in asked if name in one.args]
    value = random.choice([one for one in others if one != call.args[name]] or ["nothing"])
    return _with(calls, msgspec.structs.replace(call, args={**call.args, name: value}))


def _lost(calls: Sequence[Call], random: Random) -> list[Call]:
    """The core, or the driver, was not told."""
    return _without(calls, random.choice(questions(calls)))


def _id(calls: Sequence[Call], random: Random) -> list[Call]:
    """The user named another object, or another PASID."""
    call = random.choice([one for one in calls if one.kind == "ioctl" and {*IDS} & {*one.args}])
    name = random.choice([one for one in IDS if one in call.args])
    value = random.choice([one for one in range(1, 30) if one != call.args[name]])
    return _with(calls, msgspec.structs.replace(call, args={**call.args, name: value}))


def _drop(calls: Sequence[Call], random: Random) -> list[Call]:
    """A system call is left out, with all inside it."""
    return _without(calls, random.choice([call for call in calls if call.parent is None]))


def _without(calls: Sequence[Call], gone: Call) -> list[Call]:
    left_out, kept = {gone.n}, list[Call]()
    for call in calls:
        if call.n in left_out or call.parent in left_out:
            left_out.add(call.n)
        else:
            kept.append(call)
    return kept


def _with(calls: Sequence[Call], changed: Call) -> list[Call]:
    return [changed if call.n == changed.n else call for call in calls]
