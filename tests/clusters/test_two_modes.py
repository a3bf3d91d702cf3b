"""Liveness by two modes: a faulty phase, then some of it is healed and the rest stays for ever."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pytest

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Block, Transition
from clusters.cluster import ActorClass, Role
from clusters.nemesis import Nemesis
from clusters.sim.faults import Healable
from clusters.sim.restless import BUSY_STEPS
from clusters.sim.run_result import RunResult
from clusters.sim.strategies import prepared
from clusters.sim.world import Setup, simulate
from protocol.effects import Out
from protocol.errors import ExperimentError
from protocol.history import Record
from protocol.messages import FreePasid
from protocol.names import Name
from tests.clusters.test_faults import lives, run, under
from tests.clusters.toys import COUNTER, NOTHING, AllComeBack, Counter, CounterInbox, cast
from tests.defects.stages import stage

EVER: Final = (10**6, 10**6)
SETUP: Final = Setup(NOTHING, cast=lambda: cast(rounds=6), properties=(AllComeBack,))
BOTH: Final = (
    Nemesis("pause", "user1", every_steps=(9, 9), lasts_steps=EVER, times=1),
    Nemesis("crash", "user2", every_steps=(14, 14), lasts_steps=EVER, times=1),
)


# --- What may be healed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heal", "stays"),
    [
        (True, []),
        (False, [("pause", "user1"), ("crash", "user2")]),
        ((), [("pause", "user1"), ("crash", "user2")]),
        (("crash",), [("pause", "user1")]),
        (("user1",), [("crash", "user2")]),
        (("crash user1", "pause user2"), [("pause", "user1"), ("crash", "user2")]),
        (("crash user2",), [("pause", "user1")]),
        (("user2", "pause"), []),
        ((f"user1 -> {COUNTER}", "delay"), [("pause", "user1"), ("crash", "user2")]),
    ],
)
@pytest.mark.parametrize("max_steps", [20, 10_000])
def test_what_the_setup_names_is_healed_and_the_rest_stays(
    heal: Healable, stays: list[tuple[str, str]], max_steps: int
) -> None:
    """When the faulty phase ends by its length, and when it ends because nothing can happen."""
    setup = replace(SETUP, nemeses=BOTH, heal=heal, max_steps=max_steps)
    result, _ = run(setup)
    assert result.world.faults.active == stays
    assert result.quiet
    assert (lives(result) == 18) is (stays == [])
    assert result.verdict.word == "pass", "a ticket of who is frozen is excused"


def test_a_role_may_be_healed() -> None:
    result = frozen("vm1.kvm", {}, ("kvm",))
    assert result.world.faults.active == []
    assert result.world.faults.begun == {"pause vm1.kvm": 1}


def test_a_delay_that_stays_keeps_nobody_from_the_end() -> None:
    delay = Nemesis("delay", COUNTER, every_steps=(3, 3), lasts_steps=EVER, wait_steps=(2, 6))
    result, _ = run(replace(under(delay), heal=False))
    assert result.world.faults.active == [("delay", COUNTER)]
    assert result.verdict.word == "pass"
    assert lives(result) == 18


def test_fail_nth_heals_its_own_crashes_whatever_the_experiment_says() -> None:
    assert prepared(replace(SETUP, heal=False), "fail-nth").heal is True


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("crsh", "heal[0]: 'crsh' is neither a fault that lasts nor whom one hits; did you mean"),
        ("lose", "heal[0]: 'lose' is neither a fault that lasts nor whom one hits"),
        ("user9", "did you mean 'user"),
        ("crash user9", "heal[0]: 'crash user9' is neither"),
        (f"user9 -> {COUNTER}", "heal[0]: 'user9 -> counter' is neither"),
        ("", "heal[0]: an empty word names nothing"),
    ],
)
def test_err_a_word_that_names_nothing_to_heal_is_refused(word: str, sentence: str) -> None:
    with pytest.raises(ExperimentError) as error:
        simulate(replace(SETUP, heal=(word,)), 1)
    assert sentence in str(error.value)


# --- What converges without the frozen ------------------------------------------------------------


class TellsOtherVms(IoasidCore):
    """FREE goes to everybody's subscribers: harmless, as long as they all answer."""

    def hears(self, block: Block, transition: Transition, number: int) -> bool:
        return transition is Transition.FREE or super().hears(block, transition, number)


TWO_VMS: Final = stage(("p = alloc", "bind p dsa0", "dma p dsa0", "free p"), ("q = alloc",))
DEFECT: Final = {"core": TellsOtherVms}
SEEDS: Final = range(20)


def frozen(
    target: str, classes: Mapping[Role, ActorClass], heal: Healable, seed: int = 0
) -> RunResult:
    """The two VMs, with somebody who is paused and stays so unless `heal` names him."""
    pause = Nemesis("pause", target, every_steps=(20, 60), lasts_steps=EVER, times=1)
    setup = replace(TWO_VMS.setup(), classes=classes, nemeses=(pause,), heal=heal)
    return simulate(replace(setup, stop_at_first=False), seed)


@pytest.mark.parametrize("classes", [{}, DEFECT])
def test_when_all_is_healed_the_defect_is_not_to_be_seen(
    classes: Mapping[Role, ActorClass],
) -> None:
    for seed in SEEDS:
        assert frozen("vm2.kvm", classes, heal=True, seed=seed).verdict.word == "pass"


def test_a_vm_converges_although_the_kvm_of_another_is_frozen() -> None:
    for seed in SEEDS:
        result = frozen("vm2.kvm", {}, heal=("crash",), seed=seed)
        assert result.world.faults.active == [("pause", "vm2.kvm")]
        assert result.verdict.word == "pass"


def test_err_who_waits_for_the_frozen_of_another_vm_is_named_with_age_and_owner() -> None:
    for seed in SEEDS:
        result = frozen("vm2.kvm", DEFECT, heal=("crash",), seed=seed)
        (violation,) = result.violations
        assert violation.property == "freed-pasids-are-reclaimed"
        begun = violation.sentence.partition("since step ")[2].partition(";")[0]
        assert f"FREE_PENDING for {result.steps - int(begun)} steps, since" in violation.sentence
        assert "; held by iommu:svm, vdcm.dsa0:vm1:swq" in violation.sentence
        assert violation.sentence.endswith("; frozen: vm2.kvm")


def test_what_a_frozen_actor_owes_itself_is_excused_and_said() -> None:
    excused = 0
    for seed in SEEDS:
        result = frozen("dsa0", {}, heal=False, seed=seed)
        assert result.verdict.word == "pass"
        (owed,) = [one for status in result.verdict.properties for one in status.owed] or [""]
        excused += owed.endswith("it goes through vm1.guest, vm1.kvm, dsa0 (frozen)")
    assert excused > 10


def test_an_obligation_is_as_old_with_a_history_as_without() -> None:
    pause = Nemesis("pause", "vm2.kvm", every_steps=(20, 60), lasts_steps=EVER, times=1)
    setup = replace(TWO_VMS.setup(), classes=DEFECT, nemeses=(pause,), heal=())
    records: list[Record] = []
    told = simulate(setup, 3, history=records.append).violations
    assert [one.sentence for one in told] == [one.sentence for one in simulate(setup, 3).violations]


# --- What does not come to rest -------------------------------------------------------------------


class Keeps(Counter):
    """Never answers who gives a ticket back, and never gives it to another."""

    def handle(self, message: CounterInbox, sender: Name, out: Out) -> None:
        if not isinstance(message, FreePasid):
            Counter.handle(self, message, sender, out)


def test_err_a_livelock_is_unknown_and_names_the_links_that_kept_it_busy() -> None:
    """One user has the only ticket and waits; the other asks for it, again and again."""
    endless = replace(SETUP, cast=lambda: {**cast(users=2), COUNTER: Keeps(1)})
    setup = replace(endless, max_steps=BUSY_STEPS, quiet_steps=BUSY_STEPS)
    for seed in range(4):
        result = simulate(setup, seed)
        assert not result.quiet
        assert result.verdict.word == "unknown"
        busy = result.verdict.busy
        (owed,) = next(s.owed for s in result.verdict.properties if s.name == "all-come-back")
        holder = owed.rpartition(" ")[2]
        asker = {"user1": "user2", "user2": "user1"}[holder]
        assert busy.startswith(f"busy to the end: of the last {BUSY_STEPS:,} deliveries ")
        for link in (f"{asker} -> {COUNTER} 33", f"{COUNTER} -> {asker} 33", f"of {asker} 33"):
            assert link in busy
        assert holder not in busy
        begun = int(owed.partition("since step ")[2].partition(";")[0])
        assert owed.startswith(f"ticket 1 is out for {2 * BUSY_STEPS - begun:,} steps, since")
        assert busy in result.verdict.reasons
        assert f"all-come-back: still owed: {owed}" in result.verdict.reasons
