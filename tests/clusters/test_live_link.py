import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.live.link import (
    ANSWERS,
    REQUESTS_MAX,
    RESEND_NS,
    RESEND_NS_MAX,
    Arrival,
    Epochs,
    Incoming,
    Letter,
    Outgoing,
)
from protocol.errors import ClusterError, IncompleteError
from protocol.messages import AnyMessage, Done, FindPasid, Message

DONE = Done(1)
ASK = FindPasid(*[1] * len(FindPasid.__struct_fields__))


def letter(k: int, message: AnyMessage = DONE) -> Letter:
    return Letter((k, 1), ("", 0, 0), message)


def link(count: int, message: AnyMessage = DONE) -> Outgoing:
    outgoing = Outgoing()
    for k in range(1, count + 1):
        assert outgoing.push(letter(k, message)) == k
    return outgoing


def leaving(outgoing: Outgoing, now_ns: int = 0) -> list[int]:
    return [sequence for sequence, _ in outgoing.leave(now_ns)]


def test_messages_leave_once_and_in_order() -> None:
    outgoing = link(3)
    assert leaving(outgoing) == [1, 2, 3]
    assert leaving(outgoing) == []
    outgoing.push(letter(4))
    assert leaving(outgoing) == [4]


def test_an_acknowledgement_is_cumulative_and_an_old_one_changes_nothing() -> None:
    outgoing = link(5)
    leaving(outgoing)
    outgoing.acknowledge(3)
    outgoing.acknowledge(2)
    assert outgoing.first == 4
    assert [one.id for one in outgoing.waiting] == [(4, 1), (5, 1)]


def test_requests_wait_for_credit_and_what_is_behind_them_keeps_its_place() -> None:
    outgoing = link(REQUESTS_MAX + 1, ASK)
    outgoing.push(letter(0, Done(1)))
    assert leaving(outgoing) == list(range(1, REQUESTS_MAX + 1))
    assert leaving(outgoing) == []
    outgoing.acknowledge(1)
    assert leaving(outgoing) == [REQUESTS_MAX + 1, REQUESTS_MAX + 2]


def test_answers_need_no_credit() -> None:
    outgoing = link(REQUESTS_MAX, ASK)
    leaving(outgoing)
    outgoing.push(letter(0, Done(1)))
    assert leaving(outgoing) == [REQUESTS_MAX + 1]


def test_every_message_that_answers_is_known_as_an_answer() -> None:
    named = [
        one
        for one in get_args(AnyMessage)
        if re.search(r"(Got|Reply|(?<!Reset)Done|Refused|Translated|Exit)$", one.__name__)
    ]
    assert set(named) <= set(ANSWERS)
    assert all(issubclass(one, Message) for one in ANSWERS)


def test_what_is_not_acknowledged_in_time_leaves_again_with_growing_patience() -> None:
    outgoing = link(2)
    now, waits = RESEND_NS, []
    leaving(outgoing, now)
    outgoing.acknowledge(1)
    for _ in range(6):
        since = now
        while not outgoing.overdue(now):
            now += RESEND_NS // 2
        waits.append(now - since)
        assert leaving(outgoing, now) == [2]
    assert waits[:3] == [RESEND_NS, 2 * RESEND_NS, 4 * RESEND_NS]
    assert waits[-1] == RESEND_NS_MAX
    outgoing.acknowledge(2)
    assert not outgoing.overdue(now + 10 * RESEND_NS_MAX)
    assert outgoing.patience_ns == RESEND_NS


def test_a_recovered_link_waits_until_it_is_told_how_far_the_receiver_is() -> None:
    outgoing = link(5, ASK)
    outgoing.known = False
    assert leaving(outgoing) == []
    outgoing.resume(3)
    assert leaving(outgoing) == [4, 5]
    assert outgoing.requests == 2


def test_a_resumption_sends_again_what_had_left() -> None:
    outgoing = link(4, ASK)
    leaving(outgoing)
    outgoing.acknowledge(1)
    outgoing.resume(2)
    assert leaving(outgoing) == [3, 4]
    assert outgoing.requests == 2


def test_err_a_link_keeps_only_so_many_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusters.live.link.WAITING_MAX", 3)
    with pytest.raises(ClusterError, match="3 messages of one link wait to be acknowledged"):
        link(4)


def test_err_a_receiver_that_has_more_than_was_sent() -> None:
    with pytest.raises(IncompleteError, match="has message 4 of a link on which 3 were sent"):
        link(3).acknowledge(4)


def test_err_a_receiver_that_lost_what_it_had_acknowledged() -> None:
    outgoing = link(3)
    leaving(outgoing)
    outgoing.acknowledge(2)
    with pytest.raises(IncompleteError, match="has message 1 of a link, and had acknowledged 2"):
        outgoing.resume(1)


def test_the_receiver_tells_next_from_duplicate_and_gap() -> None:
    incoming = Incoming(received=2)
    assert incoming.arrives(2) is Arrival.DUPLICATE
    assert incoming.arrives(4) is Arrival.GAP
    assert incoming.arrives(3) is Arrival.NEXT
    assert incoming.received == 3


def test_a_gap_is_asked_for_once() -> None:
    incoming = Incoming()
    assert incoming.asks()
    assert not incoming.asks()
    incoming.arrives(1)
    assert incoming.asks()


def test_a_duplicate_makes_the_receiver_owe_an_acknowledgement_again() -> None:
    incoming = Incoming(received=3)
    incoming.told = 3
    incoming.arrives(2)
    assert incoming.owed > 0


def test_older_epochs_are_not_listened_to() -> None:
    epochs = Epochs()
    assert epochs.admit("core", 1)
    assert epochs.admit("core", 3)
    assert not epochs.admit("core", 2)
    assert epochs.admit("core", 3)
    assert epochs.admit("vm1", 1)


@pytest.mark.long
@given(st.data(), st.integers(1, 40))
def test_exactly_once_and_in_order_whatever_the_calls_between_do(
    data: st.DataObject, count: int
) -> None:
    """Calls are lost, doubled and overtaken; either side restarts; acknowledgements get lost."""
    outgoing, incoming = Outgoing(), Incoming()
    journal: list[int] = []
    flying: list[int] = []
    pushed = 0
    for _ in range(12 * count):
        match data.draw(st.integers(0, 7)):
            case 0 if pushed < count:
                pushed += 1
                outgoing.push(letter(pushed))
            case 1:
                flying += leaving(outgoing)
            case 2 if flying:
                place = data.draw(st.integers(0, len(flying) - 1))
                if incoming.arrives(flying.pop(place)) is Arrival.NEXT:
                    journal.append(incoming.received)
            case 3 if flying:
                flying.append(flying[0])
            case 4:
                outgoing.acknowledge(len(journal))
            case 5:
                incoming = Incoming(received=len(journal))
                outgoing.resume(len(journal))
            case 6:
                outgoing = link(pushed)
                outgoing.known = False
            case _:
                outgoing.resume(len(journal))

    while len(journal) < pushed:
        outgoing.resume(len(journal))
        arrived = [one for one in leaving(outgoing) if incoming.arrives(one) is Arrival.NEXT]
        journal += arrived
    assert journal == list(range(1, pushed + 1))
