"""`replay --why`: the guilty step with its numbers, the nearest schedule that holds, the slice."""

import json
from pathlib import Path

import msgspec
import pytest

from clusters.cluster import ROLES
from clusters.sim.explain import Budget
from clusters.sim.explain.chances import Chance, Chances
from clusters.sim.tape import Tape
from experiments.harness import replaying
from experiments.harness.explaining import curve, marks
from experiments.harness.result import ChanceResult, ExplanationResult, GuiltResult, Result
from tests.defects import driver, stages
from tests.experiments.command import Command
from tests.experiments.test_result import RESULT

pytestmark = pytest.mark.long

FEW = Budget(walks=40, tries=200)
SEED = "4"
RANDOM = ("--set", "explore.strategy=random")


@pytest.fixture
def race(pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The run of a driver with a mistake that only a race shows."""
    monkeypatch.setitem(ROLES, "iommu", driver.ZeroesAPresentEntry)
    monkeypatch.setattr(replaying, "FULL", FEW)
    # Of an order that is wrong by itself there would be no race to show.
    alone = '\n[expect]\nalways = ["dma-in-its-own-life"]\n'
    (here / "race.toml").write_text(stages.UNBOUND_WITH_DMA.text + alone)
    ran = pasidlab("explore", "race.toml", "--schedules", "200", "--seed", SEED, *RANDOM)
    assert ran.code == 1
    assert "dma-in-its-own-life" in ran.out
    return "latest"


def test_the_guilty_step_its_numbers_and_the_nearest_that_holds_are_said(
    pasidlab: Command, race: str
) -> None:
    ran = pasidlab("replay", race, "--why")
    assert ran.code == 1
    assert ran.err == "looking for the reason in the schedules around it ...\n"
    lines = ran.out.splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("guilty "))
    said = " ".join(line.strip() for line in lines[at : lines.index("", at)])
    assert "dsa0 -> dmar0 Translate: after it the probability of failure goes from 0." in said
    assert "to 1.00 (40 random schedules each)" in said
    assert "nearest    step " in said
    assert "come before dsa0 -> dmar0 Translate" in said
    assert [line for line in lines if line.endswith("<- here")]
    assert lines[-1].startswith("steps      pasidlab replay ")
    for line in lines[at:-1]:
        assert len(line) <= 80
        assert line.isascii()


def test_with_json_it_is_in_the_object(pasidlab: Command, race: str) -> None:
    found = pasidlab("replay", race, "--why", "--json").object
    why = found["explanation"]
    assert why["property"] == "dma-in-its-own-life"
    assert why["subject"].startswith("PASID ")
    assert why["guilty"]["chosen"] == "dsa0 -> dmar0 Translate"
    assert 0 <= why["guilty"]["before"] < why["guilty"]["after"] == 1
    assert why["nearest"]["choice"] >= why["guilty"]["choice"] - 1
    assert [one["walks"] for one in why["curve"]] == [40] * len(why["curve"])
    assert why["curve"][0]["choices"] == 0
    assert why["slice"][-1]["step"] == found["violations"][0]["step"]
    assert why["cut"] is False
    again = pasidlab("replay", race, "--why", "--json").object
    assert again["explanation"] == why
    schema = json.loads(pasidlab("schema", "result").out)
    assert set(why) == set(schema["$defs"]["ExplanationResult"]["properties"])
    assert pasidlab("replay", race, "--json").object["explanation"] is None


def test_what_holds_has_nothing_to_explain(pasidlab: Command) -> None:
    token = Tape("random", 7).token()
    ran = pasidlab("replay", token, "right.toml", "--why")
    assert "guilty" not in ran.out
    assert "nothing is violated, so there is nothing to explain" in ran.err


def test_what_fails_from_the_start_has_no_guilty_step(
    pasidlab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "FULL", Budget(walks=10, tries=3))
    pasidlab("run", "wrong.toml", "--seed", "7")
    ran = pasidlab("replay", "latest", "--why")
    assert "guilty     no step: of 10 random schedules 10 fail from the start" in ran.out
    assert "nearest    no schedule was found that leaves it and holds (3 schedules" in ran.out
    assert "the budget ended" in ran.out
    assert "<- here" not in ran.out


def test_where_the_budget_ended_the_steps_are_said_among_which_it_is(
    pasidlab: Command, race: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "FULL", Budget(walks=40, tries=5, prefixes=3))
    ran = pasidlab("replay", race, "--why")
    said = " ".join(ran.out.split())
    assert "guilty one of the steps " in said
    assert ": over them the probability of failure goes from 0." in said
    assert "the budget ended before it was found) nearest " in said
    monkeypatch.setattr(replaying, "FULL", Budget(deliveries=0))
    ran = pasidlab("replay", race, "--why")
    assert "guilty     not found: the budget ended before\n" in ran.out
    assert pasidlab("replay", race, "--why", "--json").object["explanation"]["cut"] is True


# --- In words -------------------------------------------------------------------------------------


def why_of(*curve_: tuple[int, int, int], clear: bool = True) -> ExplanationResult:
    return ExplanationResult(
        property="p",
        sentences=("a", "b"),
        guilty=GuiltResult(2, 11, "a -> b Done", 0.1, 1.0, clear),
        nearest=None,
        curve=tuple(ChanceResult(k, step, 20, failed) for k, step, failed in curve_),
        tries=0,
        cut=False,
        subject="",
        slice=(),
    )


def test_the_curve_is_a_table_with_bars() -> None:
    assert curve(why_of((0, 9, 0), (1, 10, 2), (2, 11, 20))) == [
        "  choices  step  fails",
        "  0        9     0.00",
        "  1        10    0.10   ####",
        f"  2        11    1.00   {'#' * 40} <- here",
    ]


def test_only_a_clear_step_is_marked_in_the_story() -> None:
    assert marks(why_of((0, 9, 0))) == {11: "<- here"}
    assert marks(why_of((0, 9, 0), clear=False)) == {}
    assert marks(None) == {}


def test_an_explanation_is_part_of_a_result_that_reads_back() -> None:
    result = msgspec.structs.replace(RESULT, explanation=why_of((0, 9, 0)))
    assert msgspec.json.decode(msgspec.json.encode(result), type=Result) == result


def test_a_rise_that_may_be_chance_is_not_clear() -> None:
    def rises(*failed: int) -> Chances:
        points = tuple(Chance(k, 9 + k, 200, count) for k, count in enumerate(failed))
        return Chances(points, 1, cut=False)

    assert not rises(100, 110).clear
    assert rises(100, 140).clear
    assert not rises(191, 200).clear
    assert rises(0, 200).clear
