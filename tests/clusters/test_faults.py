"""Each fault of the simulator, by what it does to toy actors and to those of the machine."""

from dataclasses import replace
from typing import Final, TypeVar

import pytest

from clusters.cluster import NATIVE, ROLES
from clusters.nemesis import Nemesis
from clusters.sim.run_result import RunResult
from clusters.sim.strategies import make
from clusters.sim.strategies.random_walk import RandomWalk
from clusters.sim.tape import Begin, Draw, Fail
from clusters.sim.world import Setup, World, simulate
from protocol.effects import Out
from protocol.errors import DivergedError
from protocol.facts import SiteFailed, VmExited
from protocol.facts.world import (
    FaultBegun,
    FaultHealed,
    HostCrashed,
    HostGone,
    HostStarted,
    MessageDelivered,
)
from protocol.history import Record
from protocol.machine import Device, Machine, Unit, Vm
from protocol.messages import AllocPasid
from protocol.names import SUPERVISOR
from protocol.plan import Plan
from tests.clusters.toys import COUNTER, NO_MEMORY, NOTHING, AllComeBack, Counter, cast
from tests.defects.stages import LIFE, stage

pytestmark = pytest.mark.long

OFTEN: Final = (3, 9)
SETUP: Final = Setup(
    NOTHING, cast=lambda: cast(rounds=6), properties=(AllComeBack,), stop_at_first=False
)


def under(*nemeses: Nemesis, setup: Setup = SETUP) -> Setup:
    return replace(setup, nemeses=nemeses)


def run(setup: Setup, seed: int = 1) -> tuple[RunResult, list[Record]]:
    records: list[Record] = []
    return simulate(setup, seed, history=records.append), records


def lives(result: RunResult) -> int:
    counter = result.world.hosts[COUNTER].actor
    assert isinstance(counter, Counter)
    return sum(counter.lives.values())


C = TypeVar("C", Begin, Draw, Fail)


def chosen(result: RunResult, kind: type[C]) -> list[C]:
    return [choice for choice in result.tape.choices if isinstance(choice, kind)]


# --- crash ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [COUNTER, "user1", "all user2"])
def test_a_crash_is_only_a_delay(target: str) -> None:
    result, records = run(under(Nemesis("crash", target, every_steps=OFTEN)))
    assert chosen(result, Begin)
    assert lives(result) == 18
    assert result.verdict.word == "pass"
    crashed = [r for r in records if isinstance(r.fact, HostCrashed)]
    started = [r for r in records if isinstance(r.fact, HostStarted)]
    assert len(crashed) == len(started) == sum(result.faults.values())
    assert [r.stamp.actor for r in crashed] == [r.stamp.actor for r in started]
    assert [r.fact for r in started] == [HostStarted(r.stamp.n) for r in started]


def test_who_is_down_handles_nothing() -> None:
    _, records = run(under(Nemesis("crash", COUNTER, every_steps=OFTEN, lasts_steps=(5, 9))))
    down = False
    for record in records:
        match record.fact:
            case HostCrashed():
                down = True
            case HostStarted():
                down = False
            case MessageDelivered():
                assert not (down and record.stamp.actor == COUNTER)


def test_err_an_actor_with_state_outside_its_fields_does_not_come_back() -> None:
    forgotten: list[str] = []

    class Secretive(Counter):
        def on_alloc_pasid(self, alloc: AllocPasid, sender: str, out: Out) -> None:
            forgotten.append(sender)
            self.lives[99] = len(forgotten)
            Counter.on_alloc_pasid(self, alloc, sender, out)

    setup = replace(SETUP, cast=lambda: {**cast(), COUNTER: Secretive(2)})
    with pytest.raises(DivergedError, match="counter did not come back as it was"):
        simulate(under(Nemesis("crash", COUNTER, every_steps=OFTEN), setup=setup), 1)


# --- pause, delay ---------------------------------------------------------------------------------


def test_a_pause_keeps_an_actor_from_its_inputs_for_a_while() -> None:
    result, records = run(under(Nemesis("pause", "user1", every_steps=OFTEN, lasts_steps=(4, 8))))
    assert result.verdict.word == "pass"
    assert lives(result) == 18
    paused = False
    for record in records:
        match record.fact:
            case FaultBegun("pause"):
                paused = True
            case FaultHealed("pause"):
                paused = False
            case MessageDelivered():
                assert not (paused and record.stamp.actor == "user1")


def test_when_everything_waits_for_a_heal_time_passes() -> None:
    forever = Nemesis("pause", COUNTER, every_steps=(5, 5), lasts_steps=(10**6, 10**6), times=1)
    result, _ = run(under(forever))
    assert result.quiet
    assert lives(result) == 18


@pytest.mark.parametrize("target", [COUNTER, f"user1 -> {COUNTER}", "one user1"])
def test_a_delay_lets_messages_wait_at_the_head_of_their_links(target: str) -> None:
    delay = Nemesis("delay", target, every_steps=OFTEN, lasts_steps=(9, 20), wait_steps=(2, 6))
    result, _ = run(under(delay))
    assert result.verdict.word == "pass"
    assert lives(result) == 18
    links = {draw.actor for draw in chosen(result, Draw) if " -> " in draw.actor}
    assert links
    if " -> " in target:
        assert links == {target}


def test_faults_of_one_actor_may_overlap() -> None:
    nemeses = [
        Nemesis(fault, COUNTER, every_steps=(2, 4), lasts_steps=(3, 9))
        for fault in ("crash", "pause", "delay")
    ]
    for seed in range(20):
        result = simulate(under(*nemeses), seed)
        assert result.quiet
        assert lives(result) == 18


def test_faults_are_not_the_larger_part_of_a_schedule() -> None:
    result, _ = run(under(Nemesis("crash", "one user1", every_steps=(10, 20))))
    assert len(chosen(result, Begin)) <= result.steps // 10


# --- lose -----------------------------------------------------------------------------------------


def test_a_loss_is_told_to_all_others_and_is_for_good() -> None:
    result, records = run(under(Nemesis("lose", "user1", every_steps=(8, 8), times=1)))
    assert result.verdict.word == "pass", "its tickets come back"
    assert result.faults == {"lose user1": 1}
    (gone,) = [k for k, r in enumerate(records) if isinstance(r.fact, HostGone)]
    after = [r for r in records[gone:] if isinstance(r.fact, MessageDelivered)]
    assert all(r.stamp.actor != "user1" for r in after)
    told = [r.stamp.actor for r in after if r.stamp.input == "HostLost"]
    assert sorted(told) == [COUNTER, "user2", "user3"]


def test_nothing_of_a_lost_actor_is_handled_after_its_loss_was_told() -> None:
    for seed in range(30):
        _, records = run(under(Nemesis("lose", "user1", every_steps=(4, 9), times=1)), seed)
        told: dict[str, bool] = {}
        for record in records:
            match record.fact:
                case MessageDelivered(peer, "HostLost"):
                    told[record.stamp.actor] = True
                case MessageDelivered(peer):
                    assert peer != "user1" or record.stamp.actor not in told


def test_what_is_lost_suffers_nothing_more() -> None:
    nemeses = (
        Nemesis("lose", "user1", every_steps=(4, 9)),
        Nemesis("crash", "user1", every_steps=(1, 3), lasts_steps=(1, 9)),
        Nemesis("delay", "user1 -> counter", every_steps=(1, 3), lasts_steps=(1, 9)),
    )
    for seed in range(30):
        result = simulate(under(*nemeses), seed)
        assert result.quiet
        assert result.faults.get("lose user1", 0) <= 1


MACHINE: Final = Machine(
    units=(Unit("dmar0"),),
    devices=(Device("dsa0", "dmar0"), Device("dsa1", "dmar0", wq="dedicated")),
    vms=(Vm("vm1", (("dsa0",), ("dsa1",))), Vm("vm2", (("dsa0",),))),
)
PLAN: Final = Plan(operations=15, mix={"alloc": 3, "bind": 5, "dma": 5, "unbind": 2, "free": 3})
REAL: Final = Setup(MACHINE, plans={"vm1.guest": PLAN, "vm2.guest": PLAN})


def test_the_files_of_a_lost_guest_are_closed_wherever_it_has_some() -> None:
    lose = under(Nemesis("lose", "vm1.guest", every_steps=(200, 200), times=1), setup=REAL)
    result, records = run(lose)
    assert result.quiet
    assert [r.fact for r in records if isinstance(r.fact, VmExited)] == [VmExited("vm1")]
    released = [
        r.stamp.actor
        for r in records
        if isinstance(r.fact, MessageDelivered) and r.fact.message == "ReleaseFds"
    ]
    assert sorted(released) == ["vdcm.dsa0", "vdcm.dsa1", "vfio", "vm1.kvm"]


def test_every_actor_of_the_machine_comes_back_from_its_journal() -> None:
    crashes = [
        Nemesis("crash", f"one {role}", every_steps=(10, 40), lasts_steps=(1, 20))
        for role in dict.fromkeys(World(REAL, make("random", 0)).roles.values())
    ]
    hit: dict[str, None] = {}
    for seed in range(6):
        result = simulate(under(*crashes, setup=REAL), seed)
        assert result.quiet
        hit |= dict.fromkeys(key.removeprefix("crash ") for key in result.faults)
    assert sorted(hit) == sorted(World(REAL, make("random", 0)).hosts)


# --- fail -----------------------------------------------------------------------------------------


def test_the_nth_passage_fails_and_no_other() -> None:
    result, records = run(under(Nemesis("fail", site=NO_MEMORY.name, nth=3)))
    answers = [choice.failed for choice in chosen(result, Fail)]
    assert [k for k, failed in enumerate(answers, start=1) if failed] == [3]
    assert [r.fact for r in records if isinstance(r.fact, SiteFailed)] == [
        SiteFailed(NO_MEMORY.name)
    ]


def test_passages_fail_with_a_probability_so_often_at_most() -> None:
    often, _ = run(under(Nemesis("fail", site=NO_MEMORY.name, probability=0.5)))
    failed = [choice.failed for choice in chosen(often, Fail)]
    assert 0.2 < sum(failed) / len(failed) < 0.8
    twice, _ = run(under(Nemesis("fail", COUNTER, site=NO_MEMORY.name, probability=0.5, times=2)))
    assert sum(choice.failed for choice in chosen(twice, Fail)) == 2


def test_or_now_and_then_the_next_passage_fails() -> None:
    nemesis = Nemesis("fail", site=NO_MEMORY.name, every_steps=(20, 20), times=2)
    result, records = run(under(nemesis))
    steps = [r.stamp.step for r in records if isinstance(r.fact, SiteFailed)]
    assert len(steps) == 2
    assert steps[0] >= 20
    assert steps[1] >= 40
    assert result.quiet


def test_two_plans_for_one_site_fail_a_passage_once() -> None:
    nemesis = Nemesis("fail", site=NO_MEMORY.name, nth=1)
    result, _ = run(under(nemesis, nemesis))
    assert [choice.failed for choice in chosen(result, Fail)].count(True) == 1


def test_nothing_fails_and_nothing_begins_after_the_faulty_phase() -> None:
    nemeses = (
        Nemesis("fail", site=NO_MEMORY.name, probability=1.0),
        Nemesis("pause", COUNTER, every_steps=(1, 2), lasts_steps=(1, 2)),
    )
    result, records = run(replace(under(*nemeses), max_steps=60))
    assert result.quiet
    assert lives(result) == 18
    late = [r for r in records if isinstance(r.fact, SiteFailed | FaultBegun) and r.stamp.step > 60]
    assert late == []


# --- The world's own records ----------------------------------------------------------------------


def test_faults_are_records_of_the_supervisor_and_losses_of_who_is_lost() -> None:
    _, records = run(under(Nemesis("lose", "user1", every_steps=(9, 9), times=1)))
    (begun,) = [r for r in records if isinstance(r.fact, FaultBegun)]
    (gone,) = [r for r in records if isinstance(r.fact, HostGone)]
    assert (begun.stamp.actor, begun.stamp.step) == (SUPERVISOR, 9)
    assert (gone.stamp.actor, gone.stamp.step) == ("user1", 9)
    assert gone.saw("user1", gone.stamp.n)


def test_err_what_is_not_a_fault_is_our_own_bug() -> None:
    world = World(under(Nemesis("crash", COUNTER)), make("random", 1))
    with pytest.raises(AssertionError, match="crash of nobody cannot begin"):
        world.faults.begin("crash", "nobody")
    assert not world.faults.possible("pause", COUNTER), "it is not planned"


# --- How much of a random walk --------------------------------------------------------------------

THERE: Final = [role for role in ROLES if role not in NATIVE]
EVERYTHING: Final = (
    *(Nemesis("crash", role) for role in THERE),
    *(Nemesis("pause", role) for role in THERE),
    Nemesis("delay", "core"),
    Nemesis("lose", "vm2.guest"),
)
"""Every fault that there is, of everybody, as often as an experiment has it that says nothing."""


def test_faults_do_not_dominate_a_random_walk() -> None:
    """Uniformly drawn they would: nearly always more faults are possible than deliveries."""
    setup = stage(
        ("p = alloc", "bind p dsa0", "dma p dsa0 x40", "unbind p dsa0", "free p"), LIFE
    ).setup()
    faults = choices = possible = enabled = 0

    class Counting(RandomWalk):
        def choose(self, world: World) -> int:
            nonlocal possible, enabled
            enabled += len(world.network.enabled)
            possible += sum(
                world.faults.possible(fault, name)
                for fault in ("crash", "pause", "delay", "lose")
                for name in world.hosts
            )
            return RandomWalk.choose(self, world)

    whole = replace(setup, nemeses=EVERYTHING)
    for seed in range(20):
        result = World(whole, Counting(seed, EVERYTHING)).run()
        assert result.quiet
        begun = len(chosen(result, Begin))
        assert begun >= 5, "and they do happen"
        faults += 2 * begun
        choices += len(result.tape.choices)
    assert possible > 5 * enabled
    assert faults < choices / 3
