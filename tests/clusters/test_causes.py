"""The causal slice: what led to a violation, closed under causes."""

from dataclasses import dataclass, replace
from typing import Final

import pytest

from clusters.causes import Slice, Subject, slice_of
from clusters.cluster import Actor
from clusters.judge import Violation
from clusters.sim.world import Setup, simulate
from protocol.effects import Out
from protocol.facts import MessageDelivered, PasidAllocated
from protocol.history import Record
from protocol.messages import AllocPasidGot
from protocol.names import Name
from tests.clusters.toys import NOTHING, AllComeBack, NoThirdLife, User, UserInbox, cast

SETUP: Final = Setup(
    NOTHING, cast=lambda: cast(rounds=4), properties=(NoThirdLife,), stop_at_first=False
)


def sliced(setup: Setup, seed: int) -> tuple[list[Record], Violation, Slice]:
    records: list[Record] = []
    result = simulate(setup, seed, history=records.append)
    violation = result.violations[0]
    return records, violation, slice_of(records, violation)


@pytest.mark.parametrize("seed", range(20))
def test_it_has_the_violating_input_and_the_cause_of_all_that_is_in_it(seed: int) -> None:
    records, violation, part = sliced(SETUP, seed)
    keys = [cause.key for cause in part.causes]
    stamp = violation.record.stamp
    assert keys[-1] == (stamp.actor, stamp.n)
    assert len(set(keys)) == len(keys)
    inputs = [(one.stamp.actor, one.stamp.n) for one in records if is_input(one)]
    for cause in part.causes:
        its = (cause.record.stamp.cause, cause.record.stamp.cause_n)
        assert its in keys or its not in inputs
        assert violation.record.saw(*cause.key)


def is_input(record: Record) -> bool:
    return isinstance(record.fact, MessageDelivered)


@pytest.mark.parametrize("seed", range(20))
def test_all_that_is_about_its_number_and_happened_before_is_in_it(seed: int) -> None:
    records, violation, part = sliced(SETUP, seed)
    fact = violation.record.fact
    assert isinstance(fact, PasidAllocated)
    assert part.subject == Subject(fact.pasid)
    about = {cause.key for cause in part.causes if cause.about}
    for record in records:
        key = (record.stamp.actor, record.stamp.n)
        if getattr(record.fact, "pasid", 0) == fact.pasid and violation.record.saw(*key):
            assert key in about
    others = [cause for cause in part.causes if not cause.about]
    assert len(part.causes) < len([one for one in records if is_input(one)])
    for cause in others:
        assert cause.message.detail.get("pasid") != fact.pasid


def test_it_is_in_the_order_of_the_history_and_the_same_each_time() -> None:
    _, _, part = sliced(SETUP, 3)
    steps = [cause.record.stamp.step for cause in part.causes]
    assert steps == sorted(steps)
    _, _, again = sliced(SETUP, 3)
    assert [cause.key for cause in again.causes] == [cause.key for cause in part.causes]


@dataclass(slots=True)
class Keeper(User):
    """Never gives back what it has."""

    def handle(self, message: UserInbox, sender: Name, out: Out) -> None:
        if not isinstance(message, AllocPasidGot):
            User.handle(self, message, sender, out)


def kept() -> dict[Name, Actor]:
    return {**cast(users=2, tickets=3), "user3": Keeper(1)}


def test_what_never_happened_has_all_inputs_when_nothing_is_named() -> None:
    records, _, part = sliced(replace(SETUP, cast=kept, properties=(AllComeBack,)), 1)
    assert part.at_end
    assert part.subject == Subject()
    assert len(part.causes) == len([one for one in records if is_input(one)])
