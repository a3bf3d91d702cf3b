import pytest

from clusters.judge import OWED_MAX, VIOLATIONS_MAX, Judge, Status, Verdict, merge
from protocol.facts import Event, MemoryAllocated, PasidAllocated, PasidReclaimed, SiteFailed
from protocol.facts.world import FaultBegun, FaultHealed, PropertyViolated, WitnessSeen
from protocol.history import Record, Stamp
from protocol.properties.property import Owed
from tests.clusters.toys import COUNTER, NOTHING, AllComeBack, NoThirdLife, Shortage

ALL = (NoThirdLife, AllComeBack, Shortage)


def judge() -> Judge:
    return Judge(NOTHING, ALL)


def record(fact: Event, step: int = 1) -> Record:
    return Record(Stamp(actor="counter", n=step, step=step), fact)


def allocated(life: int, step: int = 1) -> Record:
    return record(PasidAllocated(4, life, 0, "user1", 1), step)


def reclaimed(life: int, step: int = 1) -> Record:
    return record(PasidReclaimed(4, life, 0, 0, (), 0, 0, 0), step)


FAILED = record(SiteFailed("counter.alloc.memory"))


def words(verdict: Verdict) -> dict[str, str]:
    return {status.name: status.word for status in verdict.properties}


def test_a_run_in_which_all_holds_and_all_was_seen_passes() -> None:
    one = judge()
    for each in (allocated(1), reclaimed(1), FAILED):
        assert not one.observe(each)
    verdict = one.finish(quiet=True)
    assert verdict.word == "pass"
    assert verdict.reasons == ()
    assert words(verdict) == {
        "no-third-life": "held",
        "all-come-back": "met",
        "shortage": "seen",
    }


def test_a_violation_is_kept_with_its_record_and_news_for_the_history() -> None:
    one = judge()
    assert one.observe(allocated(3, step=9))
    (violation,) = one.violations
    sentence = "ticket 4 was given out a third time"
    assert (violation.property, violation.sentence) == ("no-third-life", sentence)
    assert violation.record.stamp.step == 9
    assert one.news == [PropertyViolated("no-third-life", sentence)]
    verdict = one.finish(quiet=False)
    assert verdict.word == "violation"
    assert verdict.reasons[0] == f"no-third-life: {sentence}"


def test_a_witness_is_counted_and_news_once() -> None:
    one = judge()
    assert not one.observe(FAILED)
    assert not one.observe(FAILED)
    assert one.witnesses == {"shortage": 2}
    assert one.news == [WitnessSeen("shortage")]


def test_what_never_happened_is_unknown() -> None:
    verdict = judge().finish(quiet=True)
    assert verdict.word == "unknown"
    assert verdict.reasons == ("shortage: it never happened",)


def test_what_is_owed_at_a_quiet_end_is_a_violation() -> None:
    one = judge()
    one.observe(allocated(1, step=5))
    verdict = one.finish(quiet=True, step=12)
    assert verdict.word == "violation"
    assert words(verdict)["all-come-back"] == "unmet"
    owed = "ticket 4 is out for 7 steps, since step 5; owed by user1"
    assert verdict.reasons[0] == f"all-come-back: {owed}"
    assert [one.owed for one in verdict.properties if one.name == "all-come-back"] == [(owed,)]
    assert one.violations[0].record.stamp.step == 5


def test_a_quiet_end_without_any_record_can_be_judged() -> None:
    class Everything(AllComeBack):
        def unmet(self) -> list[Owed]:
            return [Owed("everything is owed", (0, "user", 1))]

    one = Judge(NOTHING, (Everything,))
    assert one.finish(quiet=True).word == "violation"
    assert one.violations[0].record.stamp.actor == "supervisor"


@pytest.mark.parametrize("quiet", [False, True])
def test_what_is_owed_at_another_end_is_unknown(quiet: bool) -> None:
    one = judge()
    one.observe(FAILED)
    one.observe(allocated(1))
    gaps = ["records 3 to 7 are missing"] if quiet else []
    verdict = one.finish(quiet=quiet, gaps=gaps)
    assert verdict.word == "unknown"
    assert words(verdict)["all-come-back"] == "unjudged"
    assert verdict.reasons == (
        "all-come-back: the end was not quiet",
        "all-come-back: still owed: ticket 4 is out for 0 steps, since step 1; owed by user1",
        *gaps,
    )
    assert one.violations == []


def test_what_only_the_frozen_owe_is_met_and_said() -> None:
    one = judge()
    one.observe(FAILED)
    one.observe(allocated(1))
    for fact in (FaultBegun("pause", "user1"), FaultBegun("delay", "user2")):
        one.observe(Record(Stamp(actor="supervisor", n=1, step=2), fact))
    said = one.finish(quiet=True)
    assert said.word == "pass"
    (owed,) = next(each.owed for each in said.properties if each.name == "all-come-back")
    assert owed == "ticket 4 is out for 1 step, since step 1; owed by user1 (frozen)"
    assert one.finish(quiet=False).word == "unknown"
    one.observe(Record(Stamp(actor="supervisor", n=1, step=3), FaultHealed("pause", "user1")))
    assert one.finish(quiet=True).word == "violation"


def test_who_was_paused_and_then_lost_is_not_frozen_but_gone() -> None:
    one = judge()
    one.observe(allocated(1))
    for fact in (FaultBegun("pause", "user2"), FaultBegun("lose", "user2")):
        one.observe(Record(Stamp(actor="supervisor", n=1, step=2), fact))
    assert "frozen" not in one.finish(quiet=True).reasons[0]


def test_of_many_obligations_a_few_are_said_and_how_many_more_there_are() -> None:
    class Many(AllComeBack):
        def unmet(self) -> list[Owed]:
            return [Owed(f"ticket {k} is out", (k, "user", 1)) for k in range(OWED_MAX + 3)]

    (status,) = Judge(NOTHING, (Many,)).finish(quiet=True, step=9).properties
    assert len(status.owed) == OWED_MAX + 1
    assert status.owed[-1] == "and 3 more"
    assert status.reason.endswith("since step 0; owed by nobody; and 6 more")
    assert status.violations == OWED_MAX + 3


def test_without_steps_an_age_is_told_in_inputs() -> None:
    one = judge()
    one.observe(Record(Stamp(actor=COUNTER, n=3), allocated(1).fact))
    one.observe(Record(Stamp(actor=COUNTER, n=9), FAILED.fact))
    (owed, *_) = one.finish(quiet=True).reasons
    assert "ticket 4 is out for 6 inputs of counter, since its input 3; owed by user1" in owed


def test_of_schedules_that_met_a_rule_one_that_was_excused_is_shown() -> None:
    met, excused = Status("p", "eventually", "met"), Status("p", "eventually", "met", owed=("x",))
    both = merge([Verdict("pass", properties=(one,)) for one in (met, excused, met)])
    assert both.properties == (excused,)


def test_the_first_that_did_not_come_to_rest_says_what_kept_it_busy() -> None:
    busy = [Verdict("unknown", busy=word) for word in ("", "a to b", "c to d")]
    assert merge(busy).busy == "a to b"


def test_an_eventually_that_owes_nothing_is_not_met_before_all_is_quiet() -> None:
    verdict = judge().finish(quiet=False)
    assert words(verdict)["all-come-back"] == "unjudged"


def test_only_types_that_a_property_observes_are_of_interest() -> None:
    observed = judge().observed
    assert PasidAllocated in observed
    assert MemoryAllocated in observed
    assert WitnessSeen not in observed


def test_many_violations_are_counted_but_not_all_kept() -> None:
    one = judge()
    for _ in range(VIOLATIONS_MAX + 50):
        one.observe(allocated(3))
    assert len(one.violations) == VIOLATIONS_MAX
    (status, *_) = one.finish(quiet=False).properties
    assert status.violations == VIOLATIONS_MAX + 50


def status(word: str, count: int = 0) -> Status:
    kind = {"seen": "sometimes", "unseen": "sometimes"}.get(word, "always")
    return Status("p", kind, word, count, count, f"because {word}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other", "both", "verdict"),
    [
        ("held", "violated", "violated", "violation"),
        ("violated", "held", "violated", "violation"),
        ("unseen", "seen", "seen", "pass"),
        ("seen", "unseen", "seen", "pass"),
        ("met", "unjudged", "unjudged", "unknown"),
        ("unjudged", "unmet", "unmet", "violation"),
        ("met", "met", "met", "pass"),
    ],
)
def test_many_schedules_are_judged_as_one(one: str, other: str, both: str, verdict: str) -> None:
    merged = merge(
        [
            Verdict("pass", properties=(status(one, 2),)),
            Verdict("pass", properties=(status(other, 3),)),
        ]
    )
    assert merged.word == verdict
    assert merged.properties[0].word == both
    assert merged.properties[0].reason == f"because {both}"
    assert merged.properties[0].violations == 5
    assert merged.properties[0].witnesses == 5


def test_gaps_of_any_are_gaps_of_all() -> None:
    gap = Verdict("unknown", ("a gap",), gaps=("a gap",))
    assert merge([gap, gap, Verdict("pass")]) == Verdict("unknown", ("a gap",), gaps=("a gap",))
