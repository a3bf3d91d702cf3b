from pathlib import Path

import pytest

from clusters.live.chance import LiveChance
from clusters.live.mark import mark_path
from clusters.live.placement import Placement
from clusters.live.reexecute import JOURNALS, journal_path, reexecute
from clusters.live.seal import Seal
from clusters.nemesis import Nemesis
from protocol.errors import ClusterError
from protocol.messages import HostLost, Start, Told
from protocol.names import SUPERVISOR, Name
from protocol.wire import WIRE_FORMAT, Frame, encode
from tests.live.toys import NUMBERS, RING
from tests.live.without_ray import EACH, TWO_HOSTS, Wire, assert_whole, sealed, started

pytestmark = pytest.mark.long


@pytest.mark.parametrize("placement", [TWO_HOSTS, EACH, dict.fromkeys(RING, "all")])
def test_a_ring_runs_to_its_end_wherever_its_actors_are(
    tmp_path: Path, placement: Placement
) -> None:
    wire = started(tmp_path, placement)
    wire.run()
    assert_whole(wire)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("placement", [TWO_HOSTS, EACH])
def test_killed_hosts_come_back_and_nothing_is_lost_or_done_twice(
    tmp_path: Path, placement: Placement, seed: int
) -> None:
    wire = started(tmp_path, placement, seed)
    for _ in range(12):
        for _ in range(wire.random.randint(1, 60)):
            wire.step()
        victim = wire.random.choice(list(wire.hosts))
        wire.crash(victim)
    wire.run()
    assert_whole(wire)
    assert sum(live.journal.epoch for live in wire.hosts.values()) == 12 + len(wire.hosts)


@pytest.mark.parametrize("seed", range(3))
def test_lost_and_doubled_calls_are_only_a_delay(tmp_path: Path, seed: int) -> None:
    wire = started(tmp_path, TWO_HOSTS, seed)
    wire.loss, wire.doubles = 0.1, 0.1
    for _ in range(3000):
        wire.step()
    wire.loss = wire.doubles = 0.0
    wire.run()
    assert_whole(wire)
    counts = [live.mail.counts for live in wire.hosts.values()]
    assert any(one.get("resent") for one in counts)
    assert any(one.get("duplicates") for one in counts)


def test_a_recovered_host_sends_again_only_what_its_peer_has_not(tmp_path: Path) -> None:
    wire = started(tmp_path, TWO_HOSTS)
    for _ in range(200):
        wire.step()
    left = wire.crash("left")
    received = [one.received for one in wire.hosts["right"].mail.incoming.values()]
    wire.run()
    assert sum(received) > 100
    assert left.mail.counts["frames"] < 2 * NUMBERS + 100
    assert_whole(wire)


def test_err_a_zombie_cannot_append_and_says_nothing_more(tmp_path: Path) -> None:
    wire = started(tmp_path, TWO_HOSTS)
    for _ in range(50):
        wire.step()
    zombie = wire.hosts["left"]
    wire.begin("left")
    before = {pair: len(calls) for pair, calls in wire.calls.items()}
    data = sealed(Frame(WIRE_FORMAT, 1, SUPERVISOR, "a", 2, 0, (0, 0), ("", 0, 0), HostLost("x")))
    zombie.take(data)
    assert zombie.fenced
    zombie.take(data)
    zombie.tick(10**12)
    assert {pair: len(calls) for pair, calls in wire.calls.items()} == before
    wire.run()
    assert_whole(wire)


def test_err_a_zombie_is_not_heard(tmp_path: Path) -> None:
    wire = started(tmp_path, TWO_HOSTS)
    for _ in range(50):
        wire.step()
    wire.begin("left")
    wire.run()
    right = wire.hosts["right"]
    before = right.status().inputs
    told = Told("ring", NUMBERS + 1, 0, 0)
    frame = Frame(WIRE_FORMAT, 1, "b", "c", NUMBERS + 1, 0, (1, 0), ("", 0, 0), told)
    right.take(sealed(frame))
    assert right.status().inputs == before
    assert right.mail.counts["refused_epoch"] == 1


def test_what_is_not_a_frame_is_refused_and_the_rest_is_taken(tmp_path: Path) -> None:
    wire = Wire(tmp_path, TWO_HOSTS)
    start = encode(Frame(WIRE_FORMAT, 1, SUPERVISOR, "a", 1, 0, (0, 0), ("", 0, 0), Start()))
    wire.hosts["left"].take(Seal().close(b"\x01" + start))
    assert wire.hosts["left"].status().inputs["a"] == 1
    assert wire.hosts["left"].mail.counts["refused"] == 1


def test_start_comes_first_even_if_others_have_begun(tmp_path: Path) -> None:
    wire = Wire(tmp_path, TWO_HOSTS)
    for actor in ("d", "c", "b"):
        wire.say(actor, Start())
        for _ in range(10):
            wire.step()
    wire.say("a", Start())
    wire.run()
    assert_whole(wire)


def test_the_others_go_on_without_a_lost_actor(tmp_path: Path) -> None:
    wire = started(tmp_path, TWO_HOSTS)
    for _ in range(100):
        wire.step()
    wire.lose("b")
    assert list(wire.hosts["left"].hosts) == ["a"]
    wire.run()
    runners = wire.runners()
    assert runners["a"].lost == runners["c"].lost == ["b"]
    assert runners["d"].expected == runners["a"].expected == NUMBERS + 1
    assert runners["c"].expected <= NUMBERS


def test_a_host_that_comes_back_does_not_wait_for_one_that_is_gone(tmp_path: Path) -> None:
    wire = started(tmp_path, EACH)
    for _ in range(100):
        wire.step()
    wire.lose("b")
    for name in ("c", "a", "d"):
        for _ in range(20):
            wire.step()
        wire.crash(name)
    wire.run()
    assert wire.runners()["d"].expected == NUMBERS + 1
    match = reexecute(wire.finish())
    assert match.whole, match


def test_err_a_disk_that_is_full_lets_nothing_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = started(tmp_path, TWO_HOSTS)

    def full(_entries: object) -> None:
        raise ClusterError("left.sqlite: the journal cannot be written: disk is full")

    monkeypatch.setattr(wire.hosts["left"].journal, "append", full)
    before = sum(len(calls) for pair, calls in wire.calls.items() if pair[0] == "left")
    wire.say("a", HostLost("x"))
    assert sum(len(calls) for pair, calls in wire.calls.items() if pair[0] == "left") == before
    failure = wire.hosts["left"].failure
    assert failure is not None
    assert failure.kind == "ClusterError"


def test_err_a_journal_that_lost_its_end_is_noticed_by_its_peers(tmp_path: Path) -> None:
    wire = started(tmp_path, TWO_HOSTS)
    wire.step()
    wire.hosts["left"].journal.close()
    path = journal_path(tmp_path, "left")
    early = [(one, one.read_bytes()) for one in (path, mark_path(path))]
    wire.begin("left")
    for _ in range(100):
        wire.step()
    wire.hosts["left"].journal.close()
    for extra in ("left.sqlite-wal", "left.sqlite-shm"):
        (tmp_path / JOURNALS / extra).unlink(missing_ok=True)
    for one, its_bytes in early:
        one.write_bytes(its_bytes)
    wire.begin("left")
    for _ in range(300):
        wire.step()
    failures = [live.failure for live in wire.hosts.values() if live.failure]
    assert failures
    assert all("has lost its end" in failure.message for failure in failures)


def test_a_turn_is_bounded_and_goes_on_in_the_next(tmp_path: Path) -> None:
    wire = started(tmp_path, dict.fromkeys(RING, "all"))
    assert wire.hosts["all"].mail.local
    assert wire.calls["all", "all"]
    wire.run()
    assert_whole(wire)


def test_a_bug_in_an_actor_stops_its_host_and_is_reported(tmp_path: Path) -> None:
    wire = started(tmp_path, TWO_HOSTS)
    told = Told("ring", 99, 0, 0)
    frame = Frame(WIRE_FORMAT, 1, "d", "a", 1, 0, (1, 0), ("", 0, 0), told)
    wire.hosts["left"].take(sealed(frame))
    failure = wire.hosts["left"].failure
    assert failure is not None
    assert (failure.kind, failure.message) == ("AssertionError", "a got 99, not 1")


def test_draws_and_failures_depend_on_seed_actor_and_input_only() -> None:
    def answers(seed: int, actor: Name) -> list[object]:
        chance = LiveChance(seed, (Nemesis("fail", site="s", probability=0.5),), {"a": "a"})
        told: list[object] = []
        for n in range(1, 40):
            chance.begin(n)
            told += [chance.draw(actor, 100), chance.fails(actor, "s"), chance.draw(actor, 100)]
        return told

    assert answers(1, "a") == answers(1, "a")
    assert answers(1, "a") != answers(2, "a")
    assert answers(1, "a") != answers(1, "b")
    assert True in answers(1, "a")


def test_the_nth_passage_fails_also_if_the_host_died_in_between() -> None:
    fault = Nemesis("fail", "a", site="s", nth=3)

    def chance() -> LiveChance:
        return LiveChance(1, (fault,), {"a": "a"})

    once = chance()
    assert [once.fails("a", "s") for _ in range(5)] == [False, False, True, False, False]
    again = chance()
    again.replay([0, 0])
    again.fails("a", "s")
    again.fails("a", "s")
    again.finish()
    assert [again.fails("a", "s") for _ in range(2)] == [True, False]


def test_an_armed_failure_strikes_once_and_not_in_the_calm() -> None:
    chance = LiveChance(1, (Nemesis("fail", "a", site="s"),), {"a": "a", "b": "b"})
    chance.arm(0, "a")
    assert [chance.fails("b", "s"), chance.fails("a", "s"), chance.fails("a", "s")] == [
        False,
        True,
        False,
    ]
    chance.arm(0, "a")
    chance.calm = True
    assert not chance.fails("a", "s")


def test_err_a_batch_that_is_no_msgpack_hurts_nobody(tmp_path: Path) -> None:
    wire = Wire(tmp_path, TWO_HOSTS)
    wire.hosts["left"].take(Seal().close(b"\xc1" * 10))
    assert wire.hosts["left"].failure is None
