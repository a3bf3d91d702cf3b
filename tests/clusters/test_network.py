import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.host import Host
from clusters.sim.network import CLOSED, Network
from clusters.sim.tape import Deliver, Fire
from protocol.messages import Done, Start
from protocol.names import SUPERVISOR
from tests.clusters.toys import User

NAMES = ("a", "b", "c")


def network() -> Network:
    return Network({name: Host(name, User(1)) for name in NAMES})


def send(net: Network, sender: str, receiver: str, call: int = 1) -> int:
    slot = net.routes[sender].get(receiver)
    if slot is None:
        slot = net.open(sender, receiver)
    if slot != CLOSED:
        net.put(slot, (Done(call), None, 0))
    return slot


def take(net: Network, slot: int) -> int:
    message, _, _ = net.queues[slot].popleft()
    if not net.queues[slot]:
        net.disable(slot)
    assert isinstance(message, Done)
    return message.call


def test_each_ordered_pair_has_its_own_link_in_order() -> None:
    net = network()
    slot = send(net, "a", "b", 1)
    send(net, "a", "b", 2)
    back = send(net, "b", "a", 3)
    assert net.enabled == [slot, back]
    assert [take(net, slot), take(net, slot), take(net, back)] == [1, 2, 3]
    assert net.enabled == []


def test_slots_have_names_and_are_found_by_them_while_enabled() -> None:
    net = network()
    slot = send(net, "a", "b")
    timer = net.timer("c", "retry")
    assert net.timer("c", "retry") == timer
    assert net.names == [Deliver("a", "b"), Fire("c", "retry")]
    assert net.find(Deliver("a", "b")) == slot
    assert net.find(Fire("c", "retry")) == -1
    assert net.find(Fire("c", "other")) == -1
    assert net.find(Deliver("x", "b")) == -1
    net.put(timer, (Start(), None, 0))
    assert net.find(Fire("c", "retry")) == timer
    assert net.senders[timer] == SUPERVISOR


def test_who_is_blocked_gets_nothing_also_not_from_new_links() -> None:
    net = network()
    old, other = send(net, "a", "b"), send(net, "a", "c")
    net.block("b")
    new = send(net, "c", "b")
    assert net.enabled == [other]
    net.block("b")
    net.unblock("b")
    assert net.enabled == [other]
    net.unblock("b")
    assert net.enabled == [other, old, new]


def test_what_is_sent_to_a_lost_actor_vanishes() -> None:
    net = network()
    slot, other = send(net, "a", "b"), send(net, "b", "c")
    net.close("b")
    assert net.enabled == [other]
    assert not net.queues[slot]
    assert send(net, "a", "b") == CLOSED
    assert send(net, "c", "b") == CLOSED
    assert send(net, SUPERVISOR, "b") == CLOSED
    assert net.enabled == [other]


def test_a_cut_link_is_empty_and_a_closed_or_unused_one_is_left_alone() -> None:
    net = network()
    slot = send(net, "a", "b")
    net.cut("a", "b")
    assert net.enabled == []
    assert not net.queues[slot]
    net.cut("b", "c")
    net.close("c")
    net.cut("a", "c")


def test_a_message_that_sleeps_wakes_at_its_step() -> None:
    net = network()
    slot = send(net, "a", "b")
    net.sleep(slot, 7)
    assert not net.awake(6)
    assert net.enabled == []
    assert net.awake(7)
    assert net.enabled == [slot]
    assert net.wake == []


def test_a_delay_lags_all_links_to_an_actor_one_link_or_all() -> None:
    net = network()
    slots = {pair: send(net, *pair) for pair in (("a", "b"), ("a", "c"), ("c", "b"))}
    net.timer("b", "retry")
    net.delay("b", (1, 5))
    assert net.lag == {slots["a", "b"]: (1, 5), slots["c", "b"]: (1, 5)}
    net.delay("c -> b", (2, 2))
    assert net.lag[slots["c", "b"]] == (2, 2)
    net.undelay("b")
    assert net.lag == {slots["c", "b"]: (2, 2)}
    net.undelay("c -> b")
    assert net.lag == {}
    net.delay("", (0, 9))
    assert sorted(net.lag) == sorted(slots.values())
    net.delay("b -> a", (3, 3))
    assert net.lag[net.routes["b"]["a"]] == (3, 3)
    assert net.put(net.routes["b"]["a"], (Done(1), None, 0)), "it is to wait at the head"


def test_err_a_message_to_nobody_is_our_own_bug() -> None:
    with pytest.raises(AssertionError, match="a sends to nobody, which does not exist"):
        send(network(), "a", "nobody")


def test_a_partition_holds_what_is_on_its_links_and_on_those_yet_to_be_opened() -> None:
    net = network()
    old, other = send(net, "a", "b"), send(net, "b", "a")
    timer = net.timer("b", "retry")
    net.put(timer, (Start(), None, 0))
    net.sever("a -> b")
    assert net.enabled == [timer, other]
    net.sever("b")
    new = send(net, "b", "c")
    assert net.enabled == [timer]
    net.mend("a -> b")
    assert net.enabled == [timer]
    net.mend("b")
    assert net.enabled == [timer, old, other, new]


def test_a_partition_spares_the_supervisor_and_hardware() -> None:
    net = Network({name: Host(name, User(1)) for name in NAMES}, frozenset({SUPERVISOR, "c"}))
    spared = [send(net, SUPERVISOR, "a"), send(net, "a", "c"), send(net, "c", "a")]
    cut = send(net, "a", "b")
    net.sever("* -> *")
    assert sorted(net.enabled) == spared
    net.mend("* -> *")
    assert net.place[cut] >= 0


def test_a_lossy_link_lags_only_where_something_was_dropped() -> None:
    net = network()
    slot = send(net, "a", "b")
    net.delay("a -> b", (1, 1), "drop")
    assert list(net.lossy) == [slot]
    net.delay("b", (2, 2))
    assert (net.lag[slot], list(net.lossy)) == ((2, 2), []), "the latest counts"
    net.undelay("b")
    assert (net.lag[slot], list(net.lossy)) == ((1, 1), [slot])
    net.undelay("a -> b", "drop")
    assert net.lag == net.lossy == {}


def test_copies_of_a_link_are_a_slot_of_their_own_that_goes_with_their_sender() -> None:
    net = network()
    slot = send(net, "a", "b")
    copies = net.copies(slot)
    net.put(copies, (Done(1), None, 0))
    assert net.copies(slot) == copies == net.find(Deliver("a, again", "b"))
    net.sever("a <-> b")
    assert net.enabled == []
    net.mend("a <-> b")
    net.cut("a", "b")
    assert net.enabled == []
    assert not net.queues[copies]


MOVES = st.tuples(
    st.sampled_from(["send", "send", "take", "block", "unblock", "close", "cut", "sleep"]),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
)


def act(net: Network, move: str, one: str, other: str, step: int) -> None:
    slot = net.routes[one].get(other, CLOSED)
    if move == "send":
        send(net, one, other)
    elif move == "block":
        net.block(one)
    elif move == "unblock" and net.blocked[one]:
        net.unblock(one)
    elif move == "close":
        net.close(one)
    elif move == "cut":
        net.cut(one, other)
    elif move == "take" and slot != CLOSED and net.place[slot] >= 0:
        take(net, slot)
    elif move == "sleep" and slot != CLOSED and net.queues[slot]:
        net.sleep(slot, step + 3)


@given(st.lists(MOVES, max_size=60))
def test_enabled_is_what_has_a_message_and_is_held_by_nothing(
    moves: list[tuple[str, str, str]],
) -> None:
    """Whatever happens, in any order."""
    net = network()
    for step, (move, one, other) in enumerate(moves):
        act(net, move, one, other, step)
        net.awake(step)
        sleeping = [slot for _, slot in net.wake]
        for slot, queue in enumerate(net.queues):
            free = not net.blocked[net.receivers[slot].name] and slot not in sleeping
            assert (net.place[slot] >= 0) == bool(queue and free)
        assert [net.place[slot] for slot in net.enabled] == list(range(len(net.enabled)))
