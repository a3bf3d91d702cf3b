"""A planted defect shrinks, with its experiment, to a story of few steps that replays exactly.

`STEPS` has for each mistake the deliveries it was shrunk to, with the actors' starts; a shrinker
that becomes worse breaks it, one that becomes better may lower it.  Those of `SMALLER` are not
proved to be minimal within the tries, all others are.
"""

from dataclasses import replace
from typing import Final

import msgspec
import pytest
from msgspec import structs

from clusters.sim.replay import replay
from clusters.sim.run_result import RunResult
from clusters.sim.shrink import Aids, ShrinkBudget
from clusters.sim.tape import Origin, read_tape
from clusters.sim.world import Setup, simulate
from experiments.harness.config import Experiment, read_experiment
from experiments.harness.setup import setup_of
from experiments.harness.shrinking import Small, make_small
from experiments.harness.store import resolved
from experiments.harness.story import story
from experiments.harness.tables import NemesisTable
from protocol.history import Record, encode_record
from protocol.machine import IOMMUFD
from tests.defects.planted import PLANTED, Planted
from tests.defects.test_planted import name_of

TRIES: Final = 2_000
STEPS: Final = {
    "ReclaimsFromTheLost": 98,
    "LeavesTheEntryPresent": 63,
    "FlushesTheIotlbFirst": 65,
    "DrainsPastTheRing": 128,
    "ClearsUnderACommand": 122,
    "LeavesTheImsEntry": 125,
    "DrainsNothing": 105,
    "PutsWithDataAttached": 113,
    "LoadsTheMsr": 115,
    "TakesBackAFailedAlloc": 25,
    "ZeroesAPresentEntry": 72,
    "AnswersForTheFirstBound": 110,
    "FindsThePending": 61,
    "NotifiesASecondFree": 100,
    "ClearsTheSpidFirst": 84,
    "ForgetsWhatTheLostHold": 58,
    "TranslatesWithoutAReference": 51,
    "AttachesAnSpidTwice": 78,
    "AllowsOneTooMany": 29,
    "OwnsForEveryone": 46,
    "RollsBackTheGroup": 67,
    "CountsAuxBinds": 78,
    "WritesAnEntryInTwoGoes": 40,
    "ReplacesData+AttachesDataPerDevice": 75,
    "DrainsInItsHandler": 69,
    "AsksInTheFirstSet": 65,
    "RefusesToFreeWhatIsInUse": 61,
    "AnswersFreeAtTheLastPut": 117,
    "FreesTheSvmTooSoon": 94,
    "HasOneUnit": 108,
    "SetsUpWhatItZeroes": 99,
    "QueuesLater": 78,
    "DrainsBeforeItFlushes": 69,
    "DrainsOnce": 152,
    "TellsBeforeTheEntry": 44,
    "TellsAtTheFirstUnbind": 105,
    "TellsTheDriverBeforeTheDevice": 68,
    "TellsBeforeItIsPending": 61,
    "LiftsBeforeThePut": 86,
    "ClearsBeforeItUnregisters": 60,
    "PutsTwice": 60,
    "RunsTheYoungest": 86,
    "RunsAllAtOnce": 72,
    "RegistersLatecomers+RegistersLater": 25,
    "LosesAnAnswer": 79,
    "NeverTellsOfFree": 63,
    "LosesTheMm": 38,
    "LeavesTheBlockUp": 121,
    "RefusesALateUnbind": 67,
    "ForgetsWhoWaits": 130,
    "LeavesTheMsrLoaded+ExitsWithTheMsr": 75,
    "ForgetsItsPasid": 80,
    "PutsThePasidFirst": 66,
    "FreesFirst": 37,
    "PinsTheAddressSpace": 39,
    "LetsGoOfWhatIsFree": 69,
    "ReturnsAtOnce": 70,
    "FencesOnce": 93,
    "CountsOneMore": 14,
    "UndoesEveryDevice": 12,
    "BlocksInstead": 64,
    "ShowsReservations": 13,
    "TakesTheSameHandle": 20,
    "SharesNothing": 27,
    "ComparesNoKind+TakesAnyHandle": 19,
    "LeaksTheHandle": 15,
    "AsksForNoFlag": 43,
    "MovesOneUser": 96,
    "StaysListed": 35,
    "DetachesTheRid": 35,
    "LooksAtTheRidAlone": 21,
    "CountsNoResets": 14,
    "ForgetsTheFirstUser": 40,
    "AnswersEveryRequest": 32,
    "KeepsWhatItGivesAway": 38,
    "WaitsForNoWork": 29,
    "AsksForAnotherTry": 11,
    "AnswersInTheNewQueue": 77,
    "WaitsForTheReader": 41,
    "AnswersSuccessAlone": 29,
    "WritesNothing": 17,
    "ZeroesBeforeTheLastFlush": 29,
    "SetsUpTheDead": 53,
    "LeavesTheSilencedEntry": 34,
    "NeverDrops": 42,
    "DropsBeforeItTearsDown": 22,
    "LooksAtNoRing": 40,
    "ReportsUnlocked": 31,
    "FlushesByDomain": 36,
    "SwitchesAtsOffFirst": 44,
    "DropsInMmput": 77,
    "IdxdLetsGo+UacceLetsGo": 51,
    "CopiesAll": 40,
    "Broadcasts": 38,
    "FreesAtOnce": 26,
    "SaysItWentWell": 61,
    "AnyMm": 43,
    "LeavesQueues": 32,
    "KeepsTheMm": 83,
    "LeavesTheVdevice": 27,
}
SMALLER: Final = (
    "ReclaimsFromTheLost",
    "DrainsPastTheRing",
    "DrainsNothing",
    "QueuesLater",
    "DrainsOnce",
    "RegistersLatecomers+RegistersLater",
    "ZeroesAPresentEntry",
    "NotifiesASecondFree",
    "ForgetsWhatTheLostHold",
    "AsksInTheFirstSet",
    "FencesOnce",
    "LooksAtNoRing",
    "ReportsUnlocked",
    "FlushesByDomain",
    "LeavesQueues",
)


def experiment_of(one: Planted) -> Experiment:
    """The stage as an experiment file would have it, with its faults."""
    experiment = read_experiment(one.stage.text, "stage")
    faults = [msgspec.convert(msgspec.to_builtins(it), NemesisTable) for it in one.stage.faults]
    return structs.replace(experiment, nemesis=tuple(faults))


def first_violation(setup: Setup, one: Planted) -> RunResult:
    """The first random schedule that violates the rule before any other."""
    results = (simulate(setup, seed) for seed in range(one.stage.schedules))
    return next(
        result
        for result in results
        if result.violations and result.violations[0].property == one.property
    )


def is_smallest(one: Planted) -> bool:
    """A stage of the modern stack is written as small as it can be, and has few orders."""
    return read_experiment(one.stage.text, "stage").stack == IOMMUFD


def shrunk(one: Planted) -> tuple[RunResult, Small]:
    def make(experiment: Experiment) -> Setup:
        return replace(setup_of(experiment, "stage"), classes=one.classes)

    experiment = experiment_of(one)
    found = first_violation(make(experiment), one)
    return found, make_small(experiment, make, found.tape, ShrinkBudget(TRIES), Aids())


@pytest.mark.long
@pytest.mark.parametrize("one", [one for one in PLANTED if not one.also], ids=name_of)
def test_a_planted_defect_shrinks_to_a_story_that_replays_exactly(one: Planted) -> None:
    found, small = shrunk(one)
    before, after = small.shrunk.before, small.shrunk.after
    assert before.steps == found.steps
    assert after < before or (after == before and is_smallest(one))
    assert small.shrunk.violation.property == one.property

    # From its two files, as somebody else would: the same history, byte for byte.
    experiment = read_experiment(resolved(small.experiment).decode(), "ce-1.small.toml")
    tape, _ = read_tape(small.shrunk.tape.to_json(Origin()))
    records: list[Record] = []
    setup = replace(setup_of(experiment, "stage"), classes=one.classes)
    again = replay(setup, tape, records.append)
    assert [encode_record(record) for record in records] == [
        encode_record(record) for record in small.records
    ]
    assert story(records, again.violations[0])
    assert after.steps <= STEPS[name_of(one)]
    assert small.shrunk.minimal or name_of(one) in SMALLER
