import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusters.host import JOURNAL_MAX, Answers, Host, delivered_fact, message_id, sent_fact, whole
from clusters.moments import PAST_MAX, Moment, clock_of
from protocol.effects import CALM, Send
from protocol.errors import DivergedError, Errno
from protocol.facts import PasidAllocated, SiteFailed
from protocol.history import Record, Stamp, decode_record, encode_record
from protocol.messages import (
    AllocPasid,
    AllocPasidGot,
    PageRequest,
    ReadPrqGot,
    Refused,
    Start,
)
from protocol.names import SUPERVISOR
from tests.clusters.toys import COUNTER, NO_MEMORY, Counter, User
from tests.helpers import Failing

ALLOC = AllocPasid(1, 0, 1, 8)


def counter(*failing: str, draws: tuple[int, ...] = ()) -> Host:
    return Host(COUNTER, Counter(3), Failing(*failing, draws=draws))


def test_inputs_are_counted_and_their_effects_kept_until_the_next() -> None:
    host = counter()
    out = host.take(ALLOC, "user1")
    assert host.n == 1
    assert out.effects == [Send("user1", AllocPasidGot(1, 1, 1))]
    assert host.take(Start(), SUPERVISOR).effects == []
    assert host.n == 2


def test_a_step_that_fails_is_a_fact_and_an_answer() -> None:
    out = counter(NO_MEMORY.name).take(ALLOC, "user1")
    assert out.facts == [SiteFailed(NO_MEMORY.name)]
    assert out.answers == [1]
    assert out.effects == [Send("user1", Refused(1, Errno.ENOMEM))]


def test_a_record_says_which_input_it_comes_from_and_what_sent_that() -> None:
    user, host = Host("user1", User(1)), counter()
    user.take(Start(), SUPERVISOR, step=1)
    out = host.take(ALLOC, "user1", user.moment, 2)
    record = host.record(out.facts[0])
    assert whole(record).stamp == Stamp(
        actor=COUNTER,
        n=1,
        step=2,
        ts_ns=2000,
        input="AllocPasid",
        cause="user1",
        cause_n=1,
        clock={"user1": 1, COUNTER: 1},
    )
    assert record.saw("user1", 1)
    assert not record.saw("user1", 2)


def test_a_record_for_a_history_reads_back_as_it_was() -> None:
    host = counter()
    out = host.take(ALLOC, "user1", step=5)
    record = whole(host.record(out.facts[0]))
    assert whole(record) is record
    again = decode_record(encode_record(record))
    assert (again.stamp, again.fact) == (record.stamp, record.fact)


def test_a_clock_is_that_of_all_inputs_before() -> None:
    """Two senders who do not know of each other, a receiver, and an answer."""
    hosts = {name: Host(name, User(9)) for name in "abc"}

    def take(name: str, origin: Moment | None = None) -> Moment:
        hosts[name].take(Start(), SUPERVISOR, origin)
        moment = hosts[name].moment
        assert moment is not None
        return moment

    a1, b1 = take("a"), take("b")
    take("b")
    c1 = take("c", a1)
    c2 = take("c", b1)
    a2 = take("a", c2)
    assert a2.clock == {"a": 2, "b": 1, "c": 2}
    assert clock_of(a2) == {"a": 2, "b": 1, "c": 2}, "asked again, it is the same"
    assert c1.clock == {"a": 1, "c": 1}
    assert a2.before is a2.origin is None, "what is before a clock is let go"


def test_a_long_past_is_no_recursion_and_is_let_go() -> None:
    host = Host("a", User(9))
    for _ in range(PAST_MAX + 500):
        host.take(Start(), SUPERVISOR, host.moment)
    moment = host.moment
    assert moment is not None
    length = 0
    past: Moment | None = moment
    while past is not None and past.made is None:
        past, length = past.before, length + 1
    assert length == 500
    assert clock_of(moment) == {"a": PAST_MAX + 500}


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 60), st.integers(0, 5)), max_size=80),
    st.data(),
)
def test_what_an_input_saw_does_not_depend_on_which_clocks_are_made(
    inputs: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    """Some clocks are made on the way, in any order; the past is known by a plain closure."""
    hosts = {name: Host(name, User(9)) for name in "abcde"}
    moments: list[Moment] = []
    pasts: list[frozenset[tuple[str, int]]] = []
    last: dict[str, int] = {}
    for whose, cause, made in inputs:
        name = "abcde"[whose]
        at = cause if 0 <= cause < len(moments) else None
        hosts[name].take(Start(), SUPERVISOR, None if at is None else moments[at])
        moment = hosts[name].moment
        assert moment is not None
        past = {(name, moment.n)}
        for one in (at, last.get(name)):
            past |= pasts[one] if one is not None else frozenset()
        last[name] = len(moments)
        moments.append(moment)
        pasts.append(frozenset(past))
        if not made:
            clock_of(moments[data.draw(st.integers(0, len(moments) - 1))])
    everything = [(one.actor, one.n) for one in moments]
    order = data.draw(st.permutations(range(len(moments)))) if moments else []
    for index in order:
        saw = frozenset(one for one in everything if moments[index].saw(*one))
        assert saw == pasts[index]
        if index % 2:
            known = moments[index].clock
            assert known == {
                actor: max(n for whose, n in pasts[index] if whose == actor)
                for actor in sorted({whose for whose, _ in pasts[index]})
            }


def test_equal_inputs_give_equal_digests_and_states() -> None:
    one, other = counter(), counter()
    for host in (one, other):
        host.take(ALLOC, "user1")
    assert one.digest() == other.digest()
    assert one.state_hash() == other.state_hash()
    other.take(ALLOC, "user2")
    assert one.digest() != other.digest()
    assert one.state_hash() != other.state_hash()


def test_an_actor_comes_back_from_its_journal_as_it_was() -> None:
    host = counter(draws=(2, 1))
    host.keep_journal()
    host.take(ALLOC, "user1")
    host.take(ALLOC, "user2")
    before = host.actor
    assert host.recover() == 2
    assert host.actor == before
    assert host.actor is not before
    host.take(ALLOC, "user3")
    assert isinstance(host.actor, Counter)
    assert host.actor.holders == {3: "user1", 2: "user2", 1: "user3"}
    assert host.recover() == 3


def test_a_snapshot_stands_for_a_long_journal() -> None:
    host = Host("user1", User(1))
    host.keep_journal()
    for _ in range(JOURNAL_MAX + 5):
        host.take(Start(), SUPERVISOR)
    assert host.recover() == JOURNAL_MAX + 5


def test_a_host_goes_on_from_a_snapshot() -> None:
    host = counter()
    host.take(ALLOC, "user1")
    fresh = counter()
    fresh.restore(host.snapshot(), host.n)
    assert fresh.n == 1
    assert fresh.state_hash() == host.state_hash()


def test_err_state_that_is_not_what_the_journal_gives_is_found() -> None:
    host = counter()
    host.keep_journal()
    host.take(ALLOC, "user1")
    assert isinstance(host.actor, Counter)
    host.actor.count = 7
    with pytest.raises(DivergedError, match="counter did not come back as it was: 1 inputs"):
        host.recover()


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ((), "asks whether counter.alloc.memory fails: no answer"),
        ((0,), "asks for a number below 3: no answer"),
        ((0, 3), "asks for a number below 3: the journalled answer is 3"),
        ((0, 1, 1), "1 journalled answers were not asked for"),
    ],
)
def test_err_answers_that_do_not_fit_are_a_divergence(
    answers: tuple[int, ...], sentence: str
) -> None:
    said = Answers(answers)

    def journalled() -> None:
        Host(COUNTER, Counter(3), said).take(ALLOC, "user1")
        said.finish()

    with pytest.raises(DivergedError, match=sentence):
        journalled()


def test_messages_in_a_history_are_one_level_deep() -> None:
    request = PageRequest("dsa0", 1, 2, 3, 4)
    fact = sent_fact("iommu", ReadPrqGot(7, (request,), overflow=False), message_id("dmar0", 4, 2))
    assert fact.id == "dmar0:4.2"
    assert fact.detail == {
        "call": 7,
        "requests": '[["dsa0",1,2,3,4,true]]',
        "overflow": False,
    }
    assert delivered_fact("core", Refused(1, Errno.EBUSY), "").detail == {
        "call": 1,
        "errno": "EBUSY",
    }
    assert message_id(SUPERVISOR, 0, 0) == ""


def test_a_calm_host_needs_nothing_but_an_actor() -> None:
    host = Host(COUNTER, Counter(1))
    assert host.chance is CALM
    assert host.take(ALLOC, "user1").answers == [0, 0]
    assert isinstance(host.record(PasidAllocated(1, 1, 0, "", 0)), Record)
