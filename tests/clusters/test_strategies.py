"""What all strategies and campaigns have in common: names, tokens, rounds, refusals."""

from dataclasses import replace
from typing import Final

import pytest

from clusters.nemesis import Nemesis
from clusters.sim import determinism
from clusters.sim.replay import replay
from clusters.sim.strategies import (
    CAMPAIGNS,
    DEPTH_MAX,
    DEPTHS,
    STRATEGIES,
    Order,
    campaign,
    campaign_title,
    make,
    prepared,
    title,
)
from clusters.sim.strategies.campaign import ROUND, UNFAIR_MAX, Length, Lesson
from clusters.sim.tape import SEED_MAX, TOKEN_MAX, Origin, Tape, read_tape, read_token
from clusters.sim.world import Setup, follow, simulate
from experiments.models.refcount import MODEL_B, MODEL_C
from protocol.errors import ExperimentError
from protocol.history import Record, encode_record
from tests.clusters.campaigns import first_failure, runs
from tests.clusters.toys import (
    COUNTER,
    NO_MEMORY,
    NOTHING,
    AllComeBack,
    NoThirdLife,
    Shortage,
    cast,
)

SETUP: Final = Setup(
    NOTHING,
    cast=cast,
    properties=(AllComeBack, NoThirdLife, Shortage),
    nemeses=(
        Nemesis("crash", COUNTER, every_steps=(5, 20)),
        Nemesis("delay", COUNTER, every_steps=(5, 20), lasts_steps=(5, 9), wait_steps=(0, 3)),
        Nemesis("lose", "user2", every_steps=(30, 30), times=1),
        Nemesis("fail", site=NO_MEMORY.name, probability=0.2),
    ),
    stop_at_first=False,
)
NAMES: Final = (
    "random",
    "pct-1-0",
    "pct-3-30",
    "pct-8-30",
    "pos",
    "delay-bounded",
    "delay-bounded-2-9-9",
    "fail-nth",
    "fail-nth-3-40",
    "fail-random-12",
    "coverage",
    "coverage-4-1-4-999999999-20-3",
)


# --- A name and a seed are a schedule -------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 7, SEED_MAX])
def test_a_schedule_replays_from_its_token_and_from_its_file(name: str, seed: int) -> None:
    records: list[Record] = []
    result = simulate(SETUP, seed, name, records.append)
    lines = [encode_record(record) for record in records]
    file, _ = read_tape(result.tape.to_json(Origin()))
    token = read_token(result.tape.token())
    assert (token.strategy, token.seed, token.choices) == (name, seed, ())
    for tape in (token, file, Tape(name, seed)):
        again: list[Record] = []
        assert replay(SETUP, tape, again.append).tape == result.tape
        assert [encode_record(record) for record in again] == lines


def test_schedules_of_all_strategies_are_the_same_under_another_hash_seed() -> None:
    determinism.check_orders(SETUP, [Order(name, 5) for name in NAMES])


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_every_schedule_of_a_campaign_replays_alone(name: str) -> None:
    """What was learnt is in the name: nothing else is needed."""
    made = runs(prepared(MODEL_B, name), campaign(name, 3))
    for _, (order, result, _) in zip(range(30), made, strict=False):
        assert result.tape.strategy == order.strategy
        assert replay(MODEL_B, read_token(result.tape.token())).tape == result.tape


def test_tokens_of_the_largest_depth_are_short_enough_to_be_read() -> None:
    longest = "-".join(["delay-bounded", *[str(UNFAIR_MAX)] * DEPTH_MAX])
    lineage = "-".join(["coverage", *["99999", "999999"] * (DEPTH_MAX // 2)])
    for name in (
        lineage,
        longest,
        "-".join(["fail-nth", *["999999"] * DEPTH_MAX]),
        f"pct-8-{UNFAIR_MAX}",
    ):
        for end in ("", "00ff00ff"):
            token = Tape(name, SEED_MAX, end=end).token()
            assert len(token) <= TOKEN_MAX
            assert read_token(token).strategy == name


def test_names_for_people_leave_out_what_was_learnt() -> None:
    titles = [title(name) for name in NAMES]
    assert titles[1:3] == ["pct(depth 1)", "pct(depth 3)"]
    assert titles[6:9] == ["delay-bounded(depth 3)", "fail-nth(depth 0)", "fail-nth(depth 2)"]
    assert title("pct") == campaign_title("pct") == "pct(depth 3)"
    assert campaign_title("pct", 5) == "pct(depth 5)"
    assert campaign_title("portfolio") == "portfolio"


# --- Rounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_the_order_in_which_a_round_is_run_changes_nothing(name: str) -> None:
    """So many workers find what one finds."""
    setup = prepared(MODEL_B, name)
    forward, backward = campaign(name, 9), campaign(name, 9)
    for _ in range(3):
        orders = forward.round()
        assert backward.round() == orders
        assert len(orders) <= ROUND
        lessons = {order: follow(setup, order)[1] for order in reversed(orders)}
        for order in orders:
            forward.learn(order, follow(setup, order)[1])
            backward.learn(order, lessons[order])
    assert forward.proof() == backward.proof()


def test_two_seeds_make_two_campaigns() -> None:
    for name in CAMPAIGNS:
        assert campaign(name, 1).round() == campaign(name, 1).round()
        assert campaign(name, 1).round() != campaign(name, 2).round()


def test_a_length_is_that_of_the_longest_schedule_that_ended_by_itself() -> None:
    length, seen = Length(), []
    calmed = [Lesson(30, calmed=True), Lesson(99, calmed=True)]
    for lesson in (calmed[0], Lesson(7), Lesson(9), Lesson(8), calmed[1]):
        length.learn(lesson)
        seen.append(length.choices)
    assert seen == [30, 7, 9, 9, 9]


# --- The portfolio --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_the_portfolio_finds_the_starved_user_within_200_schedules(seed: int) -> None:
    count, order = first_failure(MODEL_C, "portfolio", seed, 200)
    assert count <= 200
    assert replay(MODEL_C, Tape(order.strategy, order.seed)).violations


def test_the_portfolio_shares_the_budget_and_passes_on_what_one_learns() -> None:
    made = campaign("portfolio", 1)
    names: dict[str, int] = {}
    for _, (order, _, lesson) in zip(range(324), runs(SETUP, made), strict=False):
        names[title(order.strategy)] = names.get(title(order.strategy), 0) + 1
        assert lesson.reached or order.strategy.startswith("delay")
    assert set(names.values()) == {32, 33}
    assert set(names) == {
        "random", "pos", *(f"pct(depth {d})" for d in range(1, 6)),
        *(f"delay-bounded(depth {b})" for b in range(3)),
    }  # fmt: skip
    later = made.round()
    assert {order.strategy.split("-")[2] for order in later if "pct" in order.strategy} != {"0"}
    assert made.proof() == ""


def test_where_nothing_is_drawn_the_plain_schedule_is_run_once() -> None:
    made = runs(MODEL_B, campaign("portfolio", 1))
    names = [order.strategy for _, (order, _, _) in zip(range(400), made, strict=False)]
    assert names.count("delay-bounded") == 1


# --- Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("pcd", "'pcd' is not a strategy; did you mean 'pct'"),
        ("pcd-3-4", "'pcd' is not a strategy; did you mean 'pct'"),
        ("portfolio", "'portfolio' is not a strategy"),
        ("pct-x", "'pct-x' is not a strategy; did you mean 'pct'"),
        ("pct-3-9999999999", "is not a strategy"),
        ("", "'' is not a strategy"),
        ("random-3", "'random-3': the numbers do not suit the strategy 'random'"),
        ("pct-0-3", "the numbers do not suit the strategy 'pct'"),
        ("pct-999999999-3", "the numbers do not suit the strategy 'pct'"),
        ("pct-3-4-5", "the numbers do not suit the strategy 'pct'"),
        ("coverage-3", "the numbers do not suit the strategy 'coverage'"),
        ("coverage-3-4-5", "the numbers do not suit the strategy 'coverage'"),
        ("delay-bounded-1-1-1-1-1-1-1-1-1", "do not suit the strategy 'delay-bounded'"),
    ],
)
def test_err_a_name_that_says_nothing_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(ExperimentError, match=sentence):
        make(name, 1)
    with pytest.raises(ExperimentError, match=sentence):
        replay(SETUP, Tape(name, 1))


def test_err_a_seed_that_is_too_large_is_refused_by_all() -> None:
    for name in STRATEGIES:
        with pytest.raises(ExperimentError, match="is not between 0 and"):
            make(name, SEED_MAX + 1)


def test_err_a_campaign_or_a_depth_that_is_not_there_is_refused() -> None:
    with pytest.raises(ExperimentError, match="'portfoli' is not a strategy; did you mean 'port"):
        campaign("portfoli", 1)
    with pytest.raises(ExperimentError, match="strategy 'random' has no depth; these have: pct"):
        campaign("random", 1, 2)
    for name in DEPTHS:
        with pytest.raises(ExperimentError, match="a depth is 1 to 8, not 9"):
            campaign(name, 1, 9)


def test_a_name_alone_is_the_strategy_with_nothing_learnt() -> None:
    for name in STRATEGIES:
        assert simulate(replace(SETUP, nemeses=()), 1, name).quiet
