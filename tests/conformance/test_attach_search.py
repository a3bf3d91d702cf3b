"""The search over calls of the IOMMU core: what may happen is explained, in either form."""

from collections import Counter
from itertools import combinations, permutations
from pathlib import Path
from random import Random
from typing import Final, cast

import pytest

from clusters.cluster import Actor
from clusters.conformance.attach import AttachCalls
from clusters.conformance.operations import Operation, Step, lanes_of, operations_of
from clusters.conformance.state import copy_of, digest
from clusters.conformance.trace import read_calls
from clusters.conformance.vocabularies import likely_kernel, parts_of
from clusters.sim.search.handling import Handle
from protocol.effects import Out, Send
from protocol.errors import ExperimentError
from protocol.names import CORE
from tests.conformance.attach_kernels import AttachKernel
from tests.conformance.attach_traces import (
    FILES,
    KERNELS,
    MACHINE,
    RUNS,
    core_of,
    judged,
    kernel_of,
    mutated,
    recorded,
)
from tests.conformance.sequential_attach import explains, opinion
from tests.conformance.traces import DATA, until, witness

pytestmark = pytest.mark.long

BOTH: Final = [run for run in RUNS if sum(path.name.startswith(f"{run}.") for path in FILES) > 1]


@pytest.mark.parametrize("tasks", [1, 3, 8])
@pytest.mark.parametrize("kernel", KERNELS)
def test_whatever_a_kernel_may_do_is_explained(tasks: int, kernel: str) -> None:
    """Also when the recording ends in the middle of calls."""
    for seed in range(40):
        calls = AttachKernel(seed, tasks, kernel).run(80)
        for recording in (calls, until(calls, Random(seed).randrange(160))):
            operations, found = judged(recording, kernel)
            assert found.order is not None, seed
            assert explains(recording, witness(operations, found), kernel), seed


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_device_may_come_and_go_meanwhile(kernel: str) -> None:
    for seed in range(40):
        calls = AttachKernel(seed, 4, kernel, "hotplug").run(80)
        operations, found = judged(calls, kernel)
        assert found.order is not None, seed
        assert explains(calls, witness(operations, found), kernel), seed


@pytest.mark.parametrize("kernel", KERNELS)
def test_memory_may_fail_meanwhile_where_a_trace_shows_that_it_did(kernel: str) -> None:
    shown = 0
    for seed in range(40):
        calls = AttachKernel(seed, 4, kernel, "nomem").run(80)
        operations, found = judged(calls, kernel)
        if any(call.ret == "-ENOMEM" for call in calls):
            shown += 1
            assert found.order is not None, seed
            assert explains(calls, witness(operations, found), kernel), seed
    assert shown > 10


@pytest.mark.parametrize("kernel", KERNELS)
def test_of_a_few_calls_the_search_says_what_trying_every_order_says(kernel: str) -> None:
    random, seen = Random(kernel), Counter[bool]()
    for seed in range(3000):
        whole = AttachKernel(seed, 4, kernel).run(4)
        kind = random.choice(["return", "number", "name"])
        if not any("pasid" in call.args for call in whole) or len(whole) > 6:
            continue
        if kind == "return" and all(call.ret is None for call in whole):
            continue
        calls = mutated(whole, kind, random) if any("domain" in c.args for c in whole) else whole
        steps = [
            (call.n, step)
            for call in calls
            if call.parent is None
            for step in range(1 + sum(back.parent == call.n for back in calls))
        ]
        found = judged(calls, kernel)[1]
        any_ = any(map(opinion(calls, kernel), permutations(steps)))
        assert (found.order is not None) == any_, seed
        seen[any_] += 1
        if min(seen[True], seen[False]) > 40:
            break
    assert min(seen[True], seen[False]) > 40


def test_both_forms_of_a_run_have_the_same_calls() -> None:
    for run in BOTH:
        text, lines = (
            [
                (call.task, call.call, call.args, call.ret)
                for call in read_calls(DATA / f"{run}{form}", MACHINE[kernel_of(run)])
                if call.call != "mm_pasid_drop"  # JSON Lines have it only where it does something.
            ]
            for form in (".trace.gz", ".jsonl.gz")
        )
        assert text == lines
    assert BOTH


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_trace_says_by_its_words_which_kernel_it_is_of(path: Path) -> None:
    assert likely_kernel(path) == f"linux-{kernel_of(path.name)}"
    assert likely_kernel(DATA / "io-sva.trace.gz") == "linux-6.1"
    calls = recorded(next(run for run in RUNS if path.name.startswith(run)))
    assert [part.role for part in parts_of(calls, MACHINE["7.3"])] == ["iommu_core"]


def taken(actor: Actor, step: Step) -> tuple[Actor, object]:
    """The actor after a step, and what leaves it."""
    after, out = copy_of(actor), Out(CORE)
    cast("Handle", after.handle)(step.message, step.sender, out)
    return after, tuple(out.effects)


@pytest.mark.parametrize("run", RUNS)
def test_calls_that_do_not_disturb_one_another_come_to_the_same_in_either_order(run: str) -> None:
    """What footprints claim, asked of the actor itself, for calls with the results they had."""
    random, kernel = Random(run), kernel_of(run)
    operations, found = judged(recorded(run), kernel)
    actor, pairs = AttachCalls(MACHINE[kernel], recorded(run)).actor(core_of(kernel)), 0
    lanes = [[one.steps[0].operation for one in lane] for lane in lanes_of(operations)]
    order = (found.order or ())[:1500]
    left = Counter(at for at, _ in order)
    for at, number in order:
        actor, _ = taken(actor, operations[at].steps[number])
        left[at] -= 1
        next_ = [next((one for one in lane if left[one]), -1) for lane in lanes]
        begun = {one for one in next_ if one >= 0 and left[one] < len(operations[one].steps)}
        firsts = [operations[one].steps[0] for one in next_ if one >= 0 and one not in begun]
        for one, two in combinations(firsts, 2):
            if random.random() < 0.5 or one.footprint.disturbs(two.footprint):
                continue
            (first, said), (second, also) = taken(actor, one), taken(actor, two)
            if not (as_recorded(one, said) and as_recorded(two, also)):
                continue
            (both, also_after), (reverse, said_after) = taken(first, two), taken(second, one)
            pairs += 1
            assert (said, also) == (said_after, also_after)
            assert digest(both) == digest(reverse)
    assert pairs > 20 or "t1" in run


def as_recorded(step: Step, said: object) -> bool:
    """Whether that is what the call did when it was recorded."""
    effects = cast("tuple[Send, ...]", said)
    if len(effects) != 1:
        return False
    if step.asks is not None:
        return effects[0] == step.asks
    return step.reads_as is None or step.reads_as(effects[0].message) == step.ret


def first_of(run: str, call: str) -> Operation:
    calls = recorded(run)
    operations = operations_of(calls, AttachCalls(MACHINE[kernel_of(run)], calls))
    return next(one for one in operations if one.call.call == call)


def test_plugging_is_of_the_device_that_it_has_inside() -> None:
    (step,) = first_of("6.12-t1-hotplug", "device_unplug").steps
    assert getattr(step.message, "device", "") == "b1"


def test_err_what_the_machine_has_not_is_said() -> None:
    calls = recorded("7.3-t4-small")
    with pytest.raises(ExperimentError, match="no domain 'paging0': describe it in"):
        operations_of(calls, AttachCalls(type(MACHINE["7.3"])(), calls))
