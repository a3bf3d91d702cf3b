"""What links do to messages in the simulator: masked where they are reliable, seen where not."""

from dataclasses import replace
from itertools import pairwise
from typing import Final

import pytest

from clusters.links import Semantics, check_semantics
from clusters.nemesis import Nemesis
from clusters.sim.replay import replay
from clusters.sim.run_result import RunResult
from clusters.sim.search.world_space import WorldSpace
from clusters.sim.shrink import shrink
from clusters.sim.strategies import campaign, prepared
from clusters.sim.tape import Begin, Deliver, Draw, Fail, Heal
from clusters.sim.world import Setup, simulate
from protocol.errors import ExperimentError
from protocol.facts import FaultBegun, FaultHealed, LinkActed, MessageDelivered
from protocol.history import Record
from protocol.names import SUPERVISOR, Name
from tests.clusters.campaigns import runs
from tests.clusters.talkers import (
    COUNT,
    NothingMissed,
    NothingOvertakes,
    NothingTwice,
    Talker,
    talkers,
)
from tests.clusters.toys import NOTHING

PROPERTIES: Final = (NothingTwice, NothingOvertakes, NothingMissed)
SETUP: Final = Setup(NOTHING, cast=talkers, properties=PROPERTIES, stop_at_first=False)
NUMBERS: Final = list(range(1, COUNT + 1))
SEEDS: Final = range(30)
LOOSE: Final = {
    "at-least-once": NothingTwice,
    "at-most-once": NothingMissed,
    "any-order": NothingOvertakes,
}


def under(*nemeses: Nemesis) -> Setup:
    return replace(SETUP, nemeses=nemeses)


def loose(kind: str, *links: str, probability: float = 0.3) -> Setup:
    return replace(SETUP, semantics=Semantics(kind, links, probability))


def run(setup: Setup, seed: int, strategy: str = "random") -> tuple[RunResult, list[Record]]:
    records: list[Record] = []
    return simulate(setup, seed, strategy, records.append), records


def heard(result: RunResult, by: Name, of: Name) -> list[int]:
    actor = result.world.hosts[by].actor
    assert isinstance(actor, Talker)
    return [number for sender, number in actor.heard if sender == of]


def acts(records: list[Record]) -> list[LinkActed]:
    return [record.fact for record in records if isinstance(record.fact, LinkActed)]


# --- Below the link layer: masked -----------------------------------------------------------------


def often(fault: str, target: str, probability: float = 0.0) -> Nemesis:
    return Nemesis(
        fault, target, every_steps=(2, 6), lasts_steps=(3, 12), wait_steps=(1, 9),
        probability=probability,
    )  # fmt: skip


def always(fault: str, target: str, probability: float = 0.0, begin: int = 1) -> Nemesis:
    ever = (10**6, 10**6)
    return Nemesis(
        fault, target, every_steps=(begin, begin), lasts_steps=ever, probability=probability
    )


PLANS: Final = {
    "partition": [often("partition", target) for target in ("a", "a <-> c", "a -> *")],
    "duplicate": [often("duplicate", "a -> c", 1.0)],
    "drop": [often("drop", target, 0.7) for target in ("c", "a -> c")],
    "all": [often(fault, "c") for fault in ("partition", "duplicate", "drop", "delay")],
}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("strategy", ["random", "pct", "pos", "coverage", "delay-bounded"])
def test_on_reliable_links_a_fault_is_a_delay_or_nothing(plan: str, strategy: str) -> None:
    struck = 0
    for setup in [under(*PLANS[plan])] if plan == "all" else map(under, PLANS[plan]):
        for seed in SEEDS[:10]:
            result, records = run(setup, seed, strategy)
            assert result.quiet
            assert result.verdict.word == "pass", result.verdict.reasons
            assert heard(result, "c", "a") == heard(result, "c", "b") == NUMBERS
            facts = [record.fact for record in records]
            begun = [(f.fault, f.target) for f in facts if isinstance(f, FaultBegun)]
            healed = [(f.fault, f.target) for f in facts if isinstance(f, FaultHealed)]
            assert sorted(begun) == sorted(healed), "every one is healed in the end"
            assert all(one.masked for one in acts(records))
            struck += len(begun)
    assert struck


def cut_at_delivery(records: list[Record], links: list[tuple[Name, Name]]) -> tuple[int, int]:
    """How many messages of these links came while a partition lasted, and when none did."""
    during = before = 0
    lasting = False
    for record in records:
        match record.fact:
            case FaultBegun():
                lasting = True
            case FaultHealed():
                lasting = False
            case MessageDelivered(peer=peer) if (peer, record.stamp.actor) in links:
                during += lasting
                before += not lasting
    return during, before


@pytest.mark.parametrize(
    ("target", "cut", "open_"),
    [
        ("a -> c", [("a", "c")], [("a", "b"), ("b", "c")]),
        ("c <-> a", [("a", "c")], [("a", "b"), ("b", "c")]),
        ("a -> *", [("a", "b"), ("a", "c")], [("b", "c")]),
        ("* -> c", [("a", "c"), ("b", "c")], [("a", "b")]),
        ("c", [("a", "c"), ("b", "c")], [("a", "b")]),
        ("b", [("a", "b"), ("b", "c")], [("a", "c")]),
        ("c -> a", [], [("a", "b"), ("a", "c"), ("b", "c")]),
    ],
)
def test_a_partition_cuts_the_links_it_names_and_no_others(
    target: str, cut: list[tuple[Name, Name]], open_: list[tuple[Name, Name]]
) -> None:
    nemesis = Nemesis("partition", target, every_steps=(4, 9), lasts_steps=(5, 15))
    passed = came = 0
    for seed in SEEDS:
        _, records = run(under(nemesis), seed)
        assert cut_at_delivery(records, cut)[0] == 0
        passed += cut_at_delivery(records, open_)[0]
        came += cut_at_delivery(records, cut)[1]
    assert passed
    assert bool(came) is bool(cut)


def test_timers_and_the_supervisor_come_through_a_partition() -> None:
    forever = always("partition", "* -> *", begin=3)
    result, records = run(replace(under(forever), heal=False), 1)
    talker = result.world.hosts["a"].actor
    assert isinstance(talker, Talker)
    assert talker.said == COUNT
    late = next(r.stamp.step for r in records if isinstance(r.fact, FaultBegun))
    senders = [
        r.fact.peer for r in records if isinstance(r.fact, MessageDelivered) and r.stamp.step > late
    ]
    assert set(senders) == {SUPERVISOR}


@pytest.mark.parametrize("word", ["partition", "a <-> c", "partition a <-> c"])
def test_a_partition_is_healed_in_the_end_if_the_setup_names_it(word: str) -> None:
    forever = always("partition", "a <-> c", begin=3)
    result, _ = run(replace(under(forever), heal=(word,)), 1)
    assert heard(result, "c", "a") == NUMBERS
    left, _ = run(replace(under(forever), heal=("drop",)), 1)
    assert heard(left, "c", "a") != NUMBERS
    assert left.world.faults.active == [("partition", "a <-> c")]


def test_each_message_that_was_dropped_is_in_the_history_and_on_the_tape() -> None:
    setup = under(Nemesis("drop", "a -> c", every_steps=(2, 4), lasts_steps=(20, 30)))
    result, records = run(setup, 3)
    fails = [choice for choice in result.tape.choices if isinstance(choice, Fail)]
    assert {choice.actor for choice in fails} == {"a -> c"}
    assert {choice.site for choice in fails} == {"drop"}
    assert {choice.failed for choice in fails} == {False, True}
    assert acts(records) == [LinkActed("a", "c", "dropped", "Told", masked=True)] * sum(
        choice.failed for choice in fails
    )


@pytest.mark.parametrize(("probability", "hit"), [(1.0, 1.0), (0.0, 0.5), (0.1, 0.1)])
def test_a_drop_hits_as_often_as_the_plan_says(probability: float, hit: float) -> None:
    """Nothing said is every second message."""
    nemesis = always("drop", "c", probability)
    asked: list[bool] = []
    for seed in range(60):
        result, _ = run(under(nemesis), seed)
        asked += [choice.failed for choice in result.tape.choices if isinstance(choice, Fail)]
    assert len(asked) > 500
    assert abs(sum(asked) / len(asked) - hit) < 0.06


# --- Links that are not reliable ------------------------------------------------------------------


def test_at_least_once_repeats_and_never_loses() -> None:
    repeated = late = 0
    for seed in SEEDS:
        result, records = run(loose("at-least-once", "a -> c"), seed)
        came = heard(result, "c", "a")
        assert list(dict.fromkeys(came)) == NUMBERS, "the first of each come in order"
        assert heard(result, "c", "b") == heard(result, "b", "a") == NUMBERS
        did = acts(records)
        assert len(came) - COUNT == len(did)
        assert all(one.did == "duplicated" and not one.masked for one in did)
        repeated += len(did)
        late += any(two < one for one, two in pairwise(came))
    assert repeated
    assert late, "a copy may come long after"


def test_at_most_once_loses_and_never_repeats() -> None:
    lost = 0
    for seed in SEEDS:
        result, records = run(loose("at-most-once", "a -> *"), seed)
        for by in ("b", "c"):
            came = heard(result, by, "a")
            assert came == sorted(set(came))
            did = [one for one in acts(records) if one.destination == by]
            assert COUNT - len(came) == len(did)
            lost += len(did)
        assert heard(result, "c", "b") == NUMBERS
    assert lost


def test_any_order_only_overtakes() -> None:
    overtaken = 0
    for seed in SEEDS:
        result, _ = run(loose("any-order", "* -> c"), seed)
        for of in ("a", "b"):
            assert sorted(heard(result, "c", of)) == NUMBERS
        assert heard(result, "b", "a") == NUMBERS
        overtaken += heard(result, "c", "a") != NUMBERS
    assert overtaken


def test_a_fault_on_a_link_that_does_not_mask_it_is_seen() -> None:
    """There the link layer sends nothing again, and lets pass what came twice."""
    setup = loose("at-most-once", "a -> c", probability=0.0)
    result, _ = run(replace(setup, nemeses=(always("drop", "a -> c", 1.0),)), 1)
    assert len(heard(result, "c", "a")) < 5
    setup = loose("at-least-once", "a -> c", probability=0.0)
    result, _ = run(replace(setup, nemeses=(always("duplicate", "a -> c", 1.0),)), 1)
    assert len(heard(result, "c", "a")) > COUNT + 5


@pytest.mark.parametrize("kind", LOOSE)
def test_what_is_seen_replays_and_is_made_as_small_as_can_be(kind: str) -> None:
    """One message that is hit is enough, and the smallest schedule has no other."""
    setup = replace(loose(kind, "a -> c"), stop_at_first=True, properties=(LOOSE[kind],))
    result = next(one for one in (run(setup, s)[0] for s in SEEDS) if one.violations)
    again = replay(setup, result.tape)
    assert again.end == result.end
    assert again.tape.choices == result.tape.choices
    small = shrink(setup, result.tape, LOOSE[kind].name).tape
    assert replay(setup, small).violations
    hits = [
        choice
        for choice in small.choices
        if (isinstance(choice, Fail) and choice.failed)
        or (isinstance(choice, Draw) and choice.value)
    ]
    assert len(hits) == 1
    assert sum(isinstance(choice, Deliver) for choice in small.choices) <= 3


@pytest.mark.parametrize("kind", ["at-least-once", "at-most-once"])
def test_fail_nth_hits_each_message_once(kind: str) -> None:
    """And is through when each was hit; what is masked is no chance of it."""
    setup = prepared(loose(kind, "a -> c"), "fail-nth")
    hit: dict[int, None] = {}
    points: dict[str, int] = {}
    for _, result, lesson in runs(setup, campaign("fail-nth", 1)):
        points = points or lesson.points
        fails = [choice for choice in result.tape.choices if isinstance(choice, Fail)]
        hit |= {k: None for k, choice in enumerate(fails) if choice.failed}
    word = {"at-least-once": "repeated messages", "at-most-once": "lost messages"}[kind]
    assert points[word] == COUNT
    assert sorted(hit) == list(range(COUNT))


def test_the_calm_after_the_faults_is_reliable() -> None:
    setup = replace(loose("at-most-once", "a -> c", probability=1.0), max_steps=10)
    result, records = run(setup, 1)
    came = heard(result, "c", "a")
    assert 3 < len(came) < COUNT
    assert came[-1] == COUNT
    last = max(r.stamp.step for r in records if isinstance(r.fact, LinkActed))
    assert last <= 10


def test_faults_of_links_are_healed_by_their_plan() -> None:
    setup = under(Nemesis("duplicate", "a -> c", every_steps=(3, 5), lasts_steps=(4, 4), times=2))
    result, _ = run(setup, 2)
    chosen = [one for one in result.tape.choices if isinstance(one, Begin | Heal)]
    assert chosen == [Begin("duplicate", "a -> c"), Heal("duplicate", "a -> c")] * 2


# --- Refusals -------------------------------------------------------------------------------------

ROLES: Final = {"core": "core", "vm1.guest": "guest", "vfio": "vfio", "dsa0": "device"}


@pytest.mark.parametrize(
    ("semantics", "sentence"),
    [
        (Semantics("exactly", ("core -> vfio",)), "n.semantics: 'exactly' is not a network"),
        (Semantics("reliable", ("core -> vfio",)), "n.links: links that are reliable need no name"),
        (Semantics("any-order"), "n.links: name those that are any-order, such as 'guest -> vfio'"),
        (Semantics("any-order", ("core",)), "n.links[0]: 'core' names no link"),
        (Semantics("any-order", ("core -> vfo",)), "'vfo' is not an actor; did you mean 'vfio'?"),
        (Semantics("any-order", ("core -> dsa0",)), "'dsa0' is hardware; links to and from it"),
        (Semantics("any-order", ("device -> core",)), "'device' is hardware"),
        (Semantics("any-order", ("core -> core",)), "'core -> core' is a link of nobody"),
        (Semantics("any-order", ("core -> *",), 2.0), "n.probability: 2.0 is not in [0, 1]"),
    ],
)
def test_err_semantics_that_cannot_be_are_refused(semantics: Semantics, sentence: str) -> None:
    with pytest.raises(ExperimentError) as refused:
        check_semantics(semantics, ROLES, "n")
    assert sentence in str(refused.value)


def test_semantics_of_kinds_and_of_everybody_spare_hardware() -> None:
    for link in ("guest -> vfio", "core <-> *", "* -> *"):
        check_semantics(Semantics("any-order", (link,)), ROLES, "n")


def test_err_a_search_looks_at_reliable_links_only() -> None:
    with pytest.raises(ExperimentError, match="'any-order' is not searched, only reliable links"):
        WorldSpace(loose("any-order", "a -> c"))
