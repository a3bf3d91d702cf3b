"""One batch at a time to each host: what comes up meanwhile leaves together, and nothing waits."""

from pathlib import Path

from clusters.live.traffic import Traffic
from protocol.messages import Start
from tests.live.toys import RING
from tests.live.without_ray import TWO_HOSTS, Wire, assert_ring


def test_after_a_batch_with_messages_the_next_waits_for_one_from_there() -> None:
    traffic = Traffic()
    assert not traffic.full("b")
    traffic.left("b", asks=True)
    assert traffic.full("b")
    assert not traffic.full("c")
    traffic.came("b")
    assert not traffic.full("b")


def test_a_batch_that_only_acknowledges_is_not_answered_and_nobody_waits_for_that() -> None:
    traffic = Traffic()
    traffic.came("b")
    assert traffic.owes("b")
    traffic.left("b", asks=False)
    assert not traffic.owes("b")
    assert not traffic.full("b")


def test_an_answer_that_is_lost_holds_up_until_the_next_tick_only() -> None:
    traffic = Traffic()
    traffic.left("b", asks=True)
    traffic.forget()
    assert not traffic.full("b")


def test_hosts_have_no_two_batches_of_messages_on_their_way_to_each_other(tmp_path: Path) -> None:
    """Without losses and ticks: what is on the way is one batch, and perhaps acknowledgements."""
    wire = Wire(tmp_path, TWO_HOSTS)
    for actor in RING:
        wire.say(actor, Start())
    most = 0
    for _ in range(10_000):
        pairs = [pair for pair, calls in wire.calls.items() if calls and pair[0] != pair[1]]
        if not pairs:
            break
        most = max(most, *(len(wire.calls[pair]) for pair in pairs))
        wire.step()
    wire.run()
    assert_ring(wire)
    assert most <= 2
    counts = [live.mail.counts for live in wire.hosts.values()]
    frames, calls = (sum(one[what] for one in counts) for what in ("frames", "calls"))
    assert frames > 2 * calls


def test_nobody_has_to_wait_for_time_to_pass(tmp_path: Path) -> None:
    """A host that has nothing to say acknowledges at once, so the ring runs without a tick."""
    wire = Wire(tmp_path, TWO_HOSTS)
    for actor in RING:
        wire.say(actor, Start())
    while any(calls for calls in wire.calls.values()):
        wire.step()
    waiting = [len(one.timers) for one in wire.hosts.values()]
    assert all(runner.left == 0 for runner in wire.runners().values())
    assert sum(waiting) > 0
