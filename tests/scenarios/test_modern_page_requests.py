"""Page requests of a modern kernel, over whole worlds (S17 to S20)."""

from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from clusters.sim.world import Setup, simulate
from experiments.harness.config import load
from experiments.harness.setup import setup_of
from protocol.facts import OpFail, OpOk
from protocol.facts.iommufd import FaultSettled
from protocol.facts.iopf import FaultAnswered, FaultDeviceRemoved, FaultGroupFormed
from protocol.history import Record
from tests.worlds import assert_fine

pytestmark = pytest.mark.long

FOLDER: Final = Path(__file__).resolve().parents[2] / "experiments" / "iommufd"
SEEDS: Final = 8


def played(name: str, seed: int) -> list[Record]:
    """One schedule of the experiment whose name begins so; nothing is wrong with it."""
    (path,) = FOLDER.glob(f"{name}_*.toml")
    setup: Setup = setup_of(load(path), str(path))
    records: list[Record] = []
    assert_fine(simulate(setup, seed, history=records.append), f"{name}, seed {seed}")
    return records


def answers(records: list[Record]) -> Counter[int]:
    """How often each code was given."""
    return Counter(one.fact.code for one in records if type(one.fact) is FaultAnswered)


def formed(records: list[Record]) -> int:
    """Groups that had a handler."""
    return sum(type(one.fact) is FaultGroupFormed for one in records)


def test_s17_a_queue_is_closed_when_all_that_its_pasid_asked_for_is_answered() -> None:
    seen: Counter[int] = Counter()
    for seed in range(SEEDS):
        records = played("s17", seed)
        at = {type(one.fact): number for number, one in enumerate(records)}
        assert formed(records) == sum(answers(records).values())
        assert at[FaultDeviceRemoved] > at.get(FaultAnswered, 0)
        seen += answers(records)
    assert seen[0] > 0, "the pages were there"


def test_s18_a_request_is_invalid_until_the_attach_is_through() -> None:
    said: Counter[type] = Counter()
    for seed in range(SEEDS):
        records = played("s18", seed)
        said += Counter(
            type(one.fact)
            for one in records
            if type(one.fact) in (OpOk, OpFail) and one.stamp.actor == "caller2"
        )
    assert said[OpFail] > 0, "some came before"
    assert said[OpOk] > 0, "some came after"


@pytest.mark.parametrize(("name", "user", "kernel"), [("s19", (1, 2), (1, 2)), ("s20", (0,), (2,))])
def test_s19_s20_what_nobody_has_answered_is_answered_invalid(
    name: str, user: tuple[int, ...], kernel: tuple[int, ...]
) -> None:
    """Of the three groups of S19 a user answers one, and a second one if he is in time."""
    seen: Counter[tuple[int, int]] = Counter()
    for seed in range(SEEDS):
        records = played(name, seed)
        by = Counter(one.fact.by for one in records if type(one.fact) is FaultSettled)
        seen[by["user"], by["kernel"]] += 1
        assert answers(records)[0] == by["user"]
    assert {one for one, _ in seen} == {*user}
    assert {other for _, other in seen} == {*kernel}
