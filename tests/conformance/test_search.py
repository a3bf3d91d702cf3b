"""The search for an order: every recorded run has one, and what is no order is never found."""

from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from random import Random
from typing import Final, cast

import msgspec
import pytest

from clusters.cluster import Actor
from clusters.conformance.calls import Call, Value
from clusters.conformance.ioasid import IoasidCalls
from clusters.conformance.linearize import Budget
from clusters.conformance.operations import Operation, operations_of, unknown_calls
from clusters.conformance.state import copy_of, digest
from clusters.sim.search.handling import Handle
from protocol.effects import Out, Send
from protocol.names import CORE
from tests.conformance.kernels import Kernel
from tests.conformance.sequential import answer, explains, opinion
from tests.conformance.traces import CORE as CORE_CLASS
from tests.conformance.traces import (
    MACHINE,
    RUNS,
    judged,
    mutated,
    recorded,
    until,
    witness,
)

pytestmark = pytest.mark.long

SMALL: Final = 6


@pytest.mark.parametrize("run", RUNS)
def test_every_recorded_run_is_explained_and_the_second_opinion_agrees(run: str) -> None:
    calls = recorded(run)
    operations, found = judged(calls)
    assert not unknown_calls(calls, IoasidCalls(MACHINE, calls))
    assert explains(calls, witness(operations, found))


def steps_of(calls: Sequence[Call]) -> list[tuple[int, int]]:
    """Every call has one step more than callbacks."""
    inside = Counter(call.parent for call in calls)
    return [
        (call.n, step)
        for call in calls
        if call.parent is None
        for step in range(inside[call.n] + 1)
    ]


def brute_force(calls: Sequence[Call]) -> bool:
    """Whether one of all orders is right, as the second opinion has it."""
    return any(map(opinion(calls), permutations(steps_of(calls))))


@pytest.mark.parametrize("tasks", [1, 3, 8])
@pytest.mark.parametrize("custom", [False, True])
def test_whatever_a_kernel_may_do_is_explained(tasks: int, custom: bool) -> None:
    """Also when the recording ends in the middle of calls."""
    for seed in range(25):
        calls = Kernel(seed, tasks, custom=custom).run(60)
        for recording in (calls, until(calls, Random(seed).randrange(120))):
            for astray in (None, -1):
                operations, found = judged(recording, astray=astray)
                assert explains(recording, witness(operations, found)), seed


def a_call(n: int, random: Random, begin: int, end: int) -> Call:
    """One call of a task of its own, on few numbers."""
    number = random.randint(1, 2)
    alloc = {"set": "S0", "min": 1, "max": random.randint(1, 3), "private": "a"}
    name, args = random.choice(
        [
            ("ioasid_alloc", alloc),
            ("ioasid_free", {"ioasid": number}),
            ("ioasid_find", {"set": None, "ioasid": number, "getter": None}),
            ("ioasid_set_data", {"ioasid": 1, "private": random.choice("bc")}),
        ]
    )
    row = {"n": n, "task": f"t{n}", "pid": n, "cpu_in": 0, "cpu_out": 0, "kind": "api"}
    row |= {"parent": None, "seq_invoke": begin, "seq_return": end, "ret": None}
    return msgspec.convert({**row, "call": name, "args": args}, Call)


def some_calls(random: Random) -> list[Call]:
    """A few calls that overlap as it happens, with the answers of some order."""
    events = random.sample(range(2 * SMALL), 2 * SMALL)
    calls = [
        a_call(n, random, min(events[2 * n : 2 * n + 2]), max(events[2 * n : 2 * n + 2]))
        for n in range(SMALL)
    ]
    moment = {call.n: random.uniform(call.seq_invoke, call.seq_return or 0) for call in calls}
    out: dict[int, list[Value]] = {}
    answers = {
        call.n: answer(call, [], out, []) for call in sorted(calls, key=lambda one: moment[one.n])
    }
    calls = [msgspec.structs.replace(call, ret=answers[call.n]) for call in calls]
    return sorted(calls, key=lambda call: call.seq_invoke)


def test_of_a_few_calls_the_search_says_what_trying_every_order_says() -> None:
    random = Random(5)
    seen: Counter[bool] = Counter()
    for _ in range(120):
        calls = some_calls(random)
        assert judged(calls)[1].order is not None
        changed = mutated(calls, random.choice(["return", "number"]), random)
        operations, found = judged(changed)
        assert not found.reason
        assert (found.order is not None) == brute_force(changed)
        forgetful = judged(changed, astray=-1)[1]
        assert (forgetful.order is None, forgetful.stuck) == (found.order is None, found.stuck)
        if found.order is not None:
            assert explains(changed, witness(operations, found))
        seen[found.order is not None] += 1
    assert min(seen[True], seen[False]) > 20


def test_what_is_forgotten_changes_no_verdict_and_saves_states() -> None:
    random = Random(8)
    whole = until(recorded("io-t8-small"), 600)
    fewer = 0
    for kind in ("return", "swap", "drop", "number") * 2:
        calls = mutated(whole, kind, random)
        plain, forgetful = (judged(calls, astray=astray)[1] for astray in (1 << 60, -1))
        assert (plain.order is None, plain.stuck) == (forgetful.order is None, forgetful.stuck)
        assert forgetful.states <= plain.states
        fewer += forgetful.states < plain.states
    assert fewer > 0


def taken(actor: Actor, operation: Operation) -> tuple[Actor, object]:
    """The actor after a call of one step, and its answer."""
    after, step, out = copy_of(actor), operation.steps[0], Out(CORE)
    cast("Handle", after.handle)(step.message, step.sender, out)
    (effect,) = out.effects
    assert isinstance(effect, Send)
    answer = step.reads_as(effect.message) if step.reads_as else None
    return after, (answer == step.ret, answer)


@pytest.mark.long
def test_with_helpers_the_search_says_what_trying_every_order_says() -> None:
    random, seen = Random(3), Counter[bool]()
    for seed in range(900):
        kernel = Kernel(seed, 3, custom=True)
        kernel.entries.append(("C0a", ["C0a"]))
        register = {"allocator": "C0a"}
        calls = kernel.run(4)
        if len(steps_of(calls)) > SMALL or not any(call.kind == "driver" for call in calls):
            continue
        first = msgspec.structs.replace(
            calls[0], n=-1, call="ioasid_register_allocator", args=register, ret=0, parent=None,
            seq_invoke=-2, seq_return=-1,
        )  # fmt: skip
        changed = [first, *mutated(calls, random.choice(["return", "number"]), random)]
        operations, found = judged(changed)
        assert (found.order is not None) == brute_force(changed), seed
        if found.order is not None:
            assert explains(changed, witness(operations, found))
        seen[found.order is not None] += 1
    assert min(seen[True], seen[False]) > 20


@pytest.mark.parametrize("run", ["io-t8-small", "io-t4-small", "io-t2"])
def test_calls_that_do_not_disturb_one_another_come_to_the_same_in_either_order(run: str) -> None:
    """What footprints claim, asked of the actor itself."""
    random = Random(run)
    calls = recorded(run)
    vocabulary = IoasidCalls(MACHINE, calls)
    operations = operations_of(calls, vocabulary)
    _, found = judged(calls)
    single = [one for one in operations if len(one.steps) == 1]
    actor, pairs = vocabulary.actor(CORE_CLASS), 0
    for at, step in (found.order or ())[:400]:
        if step == 0 and len(operations[at].steps) == 1:
            actor, _ = taken(actor, operations[at])
        for one, two in [random.sample(single, 2) for _ in range(5)]:
            if one.footprint.disturbs(two.footprint):
                continue
            (first, said), (second, also) = taken(actor, one), taken(actor, two)
            both, also_after = taken(first, two)
            reverse, said_after = taken(second, one)
            if not (cast("tuple[bool, object]", said)[0] and cast("tuple[bool, object]", also)[0]):
                continue
            pairs += 1
            assert (said, also) == (said_after, also_after)
            assert digest(both) == digest(reverse)
    assert pairs > 20


def test_a_call_that_did_not_return_may_have_happened_or_not() -> None:
    calls = recorded("io-t4-small")
    for event in range(1, 120):
        cut = until(calls, event)
        operations, found = judged(cut)
        assert explains(cut, witness(operations, found))


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(states=10), "more than 10 configurations"),
        (Budget(seconds=0), "more than 0 seconds"),
        (Budget(bytes=1 << 20), "more than 1 MiB of memory"),
    ],
)
def test_a_budget_that_is_spent_says_which(budget: Budget, reason: str) -> None:
    _, found = judged(recorded("io-t4-alloc-misuse"), budget)
    assert (found.order, found.reason) == (None, reason)


def test_no_calls_are_explained() -> None:
    assert judged([])[1].order == []
