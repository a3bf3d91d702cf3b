"""The simulated world with toy actors; with those of the machine at the end."""

import gc
from dataclasses import replace
from typing import Final, Self
from weakref import ref

import pytest

from clusters.cluster import NATIVE, ROLES
from clusters.links import Semantics
from clusters.nemesis import Nemesis
from clusters.sim.strategies import STRATEGIES, make
from clusters.sim.strategies.random_walk import RandomWalk
from clusters.sim.tape import Deliver, Draw, Fire
from clusters.sim.world import Setup, World, simulate
from protocol.effects import Out
from protocol.errors import Errno, ExperimentError
from protocol.facts import Event, PasidAllocated, SiteFailed
from protocol.facts.world import (
    MessageDelivered,
    MessageSent,
    PropertyViolated,
    RunEnded,
    RunStarted,
    WitnessSeen,
)
from protocol.history import Record, decode_record, encode_record
from protocol.machine import Device, Machine, Unit, Vm
from protocol.messages import Refused
from protocol.names import SUPERVISOR, Name
from protocol.plan import Plan
from protocol.properties.property import Property
from tests.clusters.toys import (
    COUNTER,
    NO_MEMORY,
    NOTHING,
    AllComeBack,
    Counter,
    NoThirdLife,
    Shortage,
    User,
    UserInbox,
    cast,
)

SETUP: Final = Setup(NOTHING, cast=cast)
PROPERTIES: Final[tuple[type[Property], ...]] = (AllComeBack, NoThirdLife, Shortage)
JUDGED: Final = replace(SETUP, properties=PROPERTIES)


def history(setup: Setup, seed: int) -> list[Record]:
    records: list[Record] = []
    simulate(setup, seed, history=records.append)
    return records


def facts(records: list[Record], kind: type[Event]) -> list[Record]:
    return [record for record in records if isinstance(record.fact, kind)]


# --- A run ----------------------------------------------------------------------------------------


def test_a_run_ends_when_nothing_is_left_to_happen() -> None:
    result = simulate(SETUP, 1)
    assert result.quiet
    assert result.verdict.word == "pass"
    counter = result.world.hosts[COUNTER].actor
    assert isinstance(counter, Counter)
    assert counter.holders == {}
    assert sum(counter.lives.values()) == 6


def test_steps_are_pinned() -> None:
    """They break on the day determinism breaks."""
    assert [simulate(SETUP, seed).steps for seed in range(6)] == [31, 31, 28, 31, 40, 31]


def test_start_is_everybodys_first_input_in_order_and_no_choice() -> None:
    delivered = facts(history(SETUP, 3), MessageDelivered)
    assert [record.stamp.actor for record in delivered[:4]] == [COUNTER, "user1", "user2", "user3"]
    assert all(record.stamp.n == 1 and record.stamp.input == "Start" for record in delivered[:4])
    assert all(record.stamp.n > 1 for record in delivered[4:])
    choices = simulate(SETUP, 3).tape.choices
    assert Deliver(SUPERVISOR, COUNTER) not in choices


def test_schedules_differ_by_seed_and_are_the_same_for_one() -> None:
    tapes = {simulate(SETUP, seed).tape.choices for seed in range(20)}
    assert len(tapes) > 15
    assert simulate(SETUP, 5).tape == simulate(SETUP, 5).tape


def test_each_link_delivers_in_the_order_of_sending() -> None:
    records = history(SETUP, 4)
    sent: dict[tuple[str, str], list[str]] = {}
    delivered: dict[tuple[str, str], list[str]] = {}
    for record in records:
        match record.fact:
            case MessageSent(peer, _, its_id):
                sent.setdefault((record.stamp.actor, peer), []).append(its_id)
            case MessageDelivered(peer, message, its_id) if message != "TimerFired":
                delivered.setdefault((peer, record.stamp.actor), []).append(its_id)
    assert sent == delivered


def test_a_timer_that_is_set_is_set_once_and_fires_as_a_choice() -> None:
    hungry = replace(SETUP, cast=lambda: cast(users=2, rounds=1, tickets=1))
    tapes = [simulate(hungry, seed).tape.choices for seed in range(10)]
    assert any(Fire("user1", "again") in tape or Fire("user2", "again") in tape for tape in tapes)
    world = World(hungry, make("random", 1))
    slot = world.network.timer("user1", "again")
    user = world.hosts["user1"]
    for _ in range(2):
        world.tell("user1", Refused(1, Errno.ENOSPC))
        world.deliver(world.network.routes[SUPERVISOR]["user1"])
    assert len(world.network.queues[slot]) == 1
    assert user.n == 2


@pytest.mark.parametrize("setup", [SETUP, JUDGED])
def test_a_world_that_nobody_has_is_gone_at_once(setup: Setup) -> None:
    """Hundreds of thousands of them are not left to the collector of cycles."""
    gc.disable()
    try:
        world = World(setup, make("random", 1))
        world.run()
        gone = ref(world)
        del world
        assert gone() is None
    finally:
        gc.enable()


def test_moments_are_made_only_if_somebody_sees_them() -> None:
    def moments(world: World) -> list[bool]:
        world.run()
        return [host.moment is not None for host in world.hosts.values()]

    records: list[Record] = []
    assert not any(moments(World(SETUP, make("random", 1))))
    assert all(moments(World(JUDGED, make("random", 1))))
    assert all(moments(World(SETUP, make("random", 1), records.append)))


def test_draws_are_choices_on_the_tape_unless_there_is_nothing_to_draw() -> None:
    draws = [c for c in simulate(SETUP, 1).tape.choices if isinstance(c, Draw)]
    assert draws
    assert {draw.actor for draw in draws} == {COUNTER}
    narrow = replace(SETUP, cast=lambda: cast(tickets=1))
    assert not [c for c in simulate(narrow, 1).tape.choices if isinstance(c, Draw)]


def test_fallible_steps_are_counted_and_do_not_fail_by_themselves() -> None:
    result = simulate(SETUP, 1)
    retries = sum(isinstance(choice, Fire) for choice in result.tape.choices)
    assert result.passages == {(COUNTER, NO_MEMORY.name): 6 + retries}


def test_a_run_out_of_steps_is_not_quiet_and_so_unknown() -> None:
    short = replace(JUDGED, max_steps=8, quiet_steps=3)
    result = simulate(short, 1)
    assert result.steps == 11
    assert not result.quiet
    assert result.world.final
    assert result.verdict.word == "unknown"


def test_the_steps_after_the_faulty_phase_may_suffice() -> None:
    result = simulate(replace(SETUP, max_steps=8), 1)
    assert result.quiet
    assert result.world.final


def test_links_that_delay_deliver_all_the_same() -> None:
    slow = replace(SETUP, delay_steps=(0, 9))
    result = simulate(slow, 1)
    assert result.quiet
    assert any(isinstance(c, Draw) and " -> " in c.actor for c in result.tape.choices)
    assert result.world.network.wake == []


# --- History and judgement ------------------------------------------------------------------------


def test_a_history_begins_and_ends_with_the_run() -> None:
    records = history(replace(SETUP, experiment="toys", run="r1"), 9)
    first, last = records[0].fact, records[-1].fact
    assert first == RunStarted(1, "toys", "r1", 9, "sim", "sound", NOTHING)
    assert last == RunEnded(quiet=True, steps=simulate(SETUP, 9).steps)


def test_a_history_does_not_change_the_run() -> None:
    with_history: list[Record] = []
    one = simulate(JUDGED, 7, history=with_history.append)
    other = simulate(JUDGED, 7)
    assert one.tape == other.tape
    assert one.verdict == other.verdict


def test_a_history_reads_back_record_by_record() -> None:
    for record in history(JUDGED, 2):
        again = decode_record(encode_record(record))
        assert again.stamp == record.stamp
        assert again.fact == record.fact


def test_clocks_say_what_happened_before() -> None:
    """By the definition: own inputs before, and the input that sent this one, transitively."""
    clocks: dict[tuple[str, int], dict[str, int]] = {}
    for record in facts(history(SETUP, 3), MessageDelivered):
        stamp = record.stamp
        expected = dict(clocks.get((stamp.actor, stamp.n - 1), {}))
        for actor, n in clocks.get((stamp.cause, stamp.cause_n), {}).items():
            expected[actor] = max(n, expected.get(actor, 0))
        expected[stamp.actor] = stamp.n
        assert stamp.clock == expected
        clocks[stamp.actor, stamp.n] = expected


def test_a_property_and_the_history_see_the_same_stamp() -> None:
    seen: list[tuple[int, str, dict[str, int]]] = []

    class Watches(NoThirdLife):
        def observe(self, record: Record) -> str | None:
            seen.append((record.stamp.step, record.stamp.actor, dict(record.stamp.clock)))
            return None

    records = history(replace(SETUP, properties=(Watches,)), 5)
    stamps = [record.stamp for record in facts(records, PasidAllocated)]
    assert seen == [(stamp.step, stamp.actor, stamp.clock) for stamp in stamps]


def test_a_violation_ends_the_run_and_is_in_the_history() -> None:
    records: list[Record] = []
    result = simulate(JUDGED, 1, history=records.append)
    assert result.verdict.word == "violation"
    (violation,) = result.violations
    assert violation.property == "no-third-life"
    (told,) = facts(records, PropertyViolated)
    assert told.stamp == violation.record.stamp
    assert told.stamp.step == result.steps
    assert not result.quiet


def test_a_run_can_go_on_after_a_violation() -> None:
    result = simulate(replace(JUDGED, stop_at_first=False), 1)
    assert result.verdict.word == "violation"
    assert result.quiet
    assert result.steps > simulate(JUDGED, 1).steps


def test_what_is_owed_at_the_end_is_told_before_the_run_ends() -> None:
    class Leaky(Counter):
        def reclaim(self, ticket: int, out: Out) -> None:
            del self.holders[ticket]

    leaky = replace(
        SETUP,
        cast=lambda: {**cast(tickets=9), COUNTER: Leaky(9)},
        properties=(AllComeBack,),
    )
    records = history(leaky, 1)
    assert isinstance(records[-2].fact, PropertyViolated)
    assert isinstance(records[-1].fact, RunEnded)
    assert simulate(leaky, 1).verdict.word == "violation"


def test_a_witness_is_in_the_history_once() -> None:
    failing = replace(JUDGED, nemeses=(Nemesis("fail", site=NO_MEMORY.name, probability=0.5),))
    records = history(replace(failing, stop_at_first=False), 2)
    assert len(facts(records, SiteFailed)) > 1
    assert len(facts(records, WitnessSeen)) == 1


# --- Refusals -------------------------------------------------------------------------------------


def test_err_a_strategy_or_seed_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ExperimentError, match="'randm' is not a strategy; did you mean 'random'"):
        simulate(SETUP, 1, "randm")
    for name in STRATEGIES:
        with pytest.raises(ExperimentError, match="is not between 0 and"):
            make(name, 1 << 64)


def test_err_semantics_and_nemeses_are_checked_before_anything_runs() -> None:
    with pytest.raises(ExperimentError, match="'any' is not a network semantics"):
        World(replace(SETUP, semantics=Semantics("any")), make("random", 1))
    with pytest.raises(ExperimentError, match=r"nemesis\[0\].fault: 'krash' is not a fault"):
        World(replace(SETUP, nemeses=(Nemesis("krash", COUNTER),)), make("random", 1))


# --- The machine's own actors ---------------------------------------------------------------------

MACHINE: Final = Machine(
    units=(Unit("dmar0"),),
    devices=(Device("dsa0", "dmar0"), Device("dsa1", "dmar0", wq="dedicated")),
    vms=(Vm("vm1", (("dsa0",), ("dsa1",))), Vm("vm2", (("dsa0",),))),
)
MIX: Final = {"alloc": 3, "bind": 5, "enable": 2, "dma": 5, "fault": 2, "unbind": 2, "free": 3}
PLAN: Final = Plan(operations=20, mix=MIX)
REAL: Final = Setup(MACHINE, plans={"vm1.guest": PLAN, "vm2.guest": PLAN})


def test_the_machines_actors_run_to_a_quiet_end() -> None:
    result = simulate(REAL, 1)
    assert result.quiet
    assert {*result.world.roles.values(), *NATIVE} == set(ROLES)


class MuteGuest(User):
    """A guest that does nothing."""

    @classmethod
    def of(cls, machine: Machine, name: Name, plan: Plan = PLAN) -> Self:
        return cls(plan.operations)

    def handle(self, message: UserInbox, sender: Name, out: Out) -> None:
        pass


def test_a_class_can_stand_in_for_a_role() -> None:
    result = simulate(replace(REAL, classes={"guest": MuteGuest}), 1)
    assert result.quiet
    assert result.steps < 30


class Restoring(RandomWalk):
    """Before each choice every actor is made anew from a snapshot."""

    def choose(self, world: World) -> int:
        for host in world.hosts.values():
            host.restore(host.snapshot(), host.n)
        return super().choose(world)


def test_restored_actors_behave_as_the_originals() -> None:
    """So no set decides an order, and no two fields share an object."""
    usual, restored = simulate(REAL, 2), World(REAL, Restoring(2)).run()
    assert (restored.tape, restored.end) == (usual.tape, usual.end)
