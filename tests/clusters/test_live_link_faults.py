"""The live link layer without Ray: what is made worse below it is never seen above it."""

from pathlib import Path
from random import Random

import pytest

from clusters.live.link import REQUESTS_MAX, Outgoing
from clusters.live.link_faults import Lasting, LinkFault, LinkFaults
from clusters.live.post import LinkName
from clusters.live.reexecute import reexecute
from clusters.nemesis import OF_LINKS
from protocol.messages import FindPasid
from protocol.names import SUPERVISOR, Name
from tests.clusters.test_live_link import leaving, letter
from tests.live.toys import NUMBERS, RING
from tests.live.without_ray import EACH, TWO_HOSTS, Wire, assert_whole, started

pytestmark = pytest.mark.long

ASK = FindPasid(*[1] * len(FindPasid.__struct_fields__))
TARGETS = ("a -> b", "b <-> c", "c -> *", "* -> d", "a", "* -> *")


# --- Exactly once and in order --------------------------------------------------------------------


def worse(wire: Wire, rng: Random) -> None:
    """Some faults of links at once, of any kind and anywhere."""
    wire.suffer(
        *[
            (rng.choice(OF_LINKS), rng.choice(TARGETS), rng.random(), (0, 3_000_000_000))
            for _ in range(rng.randint(0, 3))
        ]
    )


@pytest.mark.parametrize("placement", [TWO_HOSTS, EACH], ids=["packed", "each"])
@pytest.mark.parametrize("seed", range(8))
def test_every_message_is_handled_once_and_in_order_whatever_happens_below(
    tmp_path: Path, placement: dict[Name, Name], seed: int
) -> None:
    """Lost, doubled and overtaking calls, faults of links, and hosts that are killed."""
    wire = started(tmp_path, placement, seed)
    wire.loss, wire.doubles, wire.overtaking = 0.05, 0.1, 0.2
    rng = Random(seed)
    killed = 0
    for _ in range(25):
        worse(wire, rng)
        for _ in range(rng.randint(1, 80)):
            wire.step()
        if rng.random() < 0.3:
            wire.crash(rng.choice(list(wire.hosts)))
            killed += 1
    wire.loss = wire.doubles = wire.overtaking = 0.0
    wire.suffer()
    wire.run()
    assert killed
    assert_whole(wire)
    assert {"link.dropped", "link.duplicated", "link.cut"} & set(wire.logged)


def test_such_a_run_is_re_executed_to_its_end(tmp_path: Path) -> None:
    wire = started(tmp_path, TWO_HOSTS, 3)
    for faults in [("drop", "b -> c", 0.7)], [("partition", "d <-> a")], []:
        wire.suffer(*faults)
        for _ in range(120):
            wire.step()
    wire.run()
    match = reexecute(wire.finish())
    assert match.whole, match


def test_a_hello_that_was_overtaken_is_old_news_and_asked_again(tmp_path: Path) -> None:
    """Its acknowledgements came first; who then believed it would think a journal was torn."""
    wire = started(tmp_path, TWO_HOSTS)
    for _ in range(4):
        wire.step()
    left = wire.hosts["left"]
    left.mail._say_hello("right", asks=False)
    late = wire.calls["left", "right"].pop()
    for _ in range(60):
        wire.step()
    right = wire.hosts["right"]
    acknowledged = right.mail.outgoing[LinkName("d", "a")].acknowledged
    late(right)
    assert right.failure is None
    assert right.mail.outgoing[LinkName("d", "a")].acknowledged == acknowledged
    assert right.mail.greeting == 1
    wire.run()
    assert right.mail.greeting == 0
    assert_whole(wire)


# --- Partitions -----------------------------------------------------------------------------------


def came(wire: Wire, source: Name, destination: Name) -> int:
    """How many messages of the link its receiver has taken."""
    live = wire.hosts[wire.placement[destination]]
    incoming = live.mail.incoming.get(LinkName(source, destination))
    return incoming.received if incoming is not None else 0


CUTS = {
    "b -> c": [("b", "c")],
    "b <-> c": [("b", "c"), ("c", "b")],
    "b": [("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")],
}
FREE = [("c", "d"), ("d", "c")]


@pytest.mark.parametrize(
    ("placement", "steps"), [(TWO_HOSTS, 0), (EACH, 40), (dict.fromkeys(RING, "all"), 0)]
)
@pytest.mark.parametrize("target", CUTS)
def test_what_is_cut_does_not_come_through_until_it_is_healed(
    tmp_path: Path, placement: dict[Name, Name], steps: int, target: str
) -> None:
    """Between hosts, and between two actors of one host; what is not cut goes on."""
    wire = started(tmp_path, placement)
    for _ in range(steps):
        wire.step()
    wire.suffer(("partition", target))
    for calls in wire.calls.values():
        calls.clear()  # What was on its way already.
    cut = CUTS[target]
    before = {link: came(wire, *link) for link in [*cut, *FREE]}
    for _ in range(300):
        wire.step()
    assert all(came(wire, *link) == before[link] for link in cut)
    assert any(before[link] < NUMBERS for link in cut)
    assert all(before[link] < came(wire, *link) or before[link] == NUMBERS for link in FREE)
    assert not all(live.status().idle for live in wire.hosts.values()), "nobody is at rest"
    wire.suffer()
    wire.run()
    assert_whole(wire)


def test_a_host_that_comes_back_into_a_partition_hears_nothing_before_it_is_healed(
    tmp_path: Path,
) -> None:
    """A hello would tell it how far its links have come, through the cut."""
    wire = started(tmp_path, TWO_HOSTS)
    for _ in range(60):
        wire.step()
    wire.suffer(("partition", "b <-> c"))
    wire.crash("left")
    for _ in range(200):
        wire.step()
    assert wire.hosts["left"].status().greeting == 1
    wire.suffer()
    wire.run()
    assert_whole(wire)


def test_what_was_cut_goes_on_at_once_when_it_is_healed(tmp_path: Path) -> None:
    """However long it lasted: the patience that grew meanwhile is forgotten."""
    wire = started(tmp_path, TWO_HOSTS)
    wire.suffer(("partition", "b -> c"))
    for _ in range(200):
        wire.step()
    taken = came(wire, "b", "c")
    wire.suffer()
    assert any(wire.calls["left", "right"])
    while wire.calls["left", "right"]:
        wire.calls["left", "right"].pop(0)(wire.hosts["right"])
    assert came(wire, "b", "c") > taken


# --- By a seed ------------------------------------------------------------------------------------


def hits(seed: int, serial: int = 1, probability: float = 0.3) -> list[int]:
    faults = LinkFaults(seed)
    faults.suffer(Lasting(1, (LinkFault(serial, "drop", "a -> b", probability),)))
    return [faults.copies("a", "b", k) for k in range(2_000)]


def test_what_is_hit_depends_on_the_seed_and_the_fault_and_on_nothing_else() -> None:
    assert hits(1) == hits(1)
    assert len({tuple(hits(seed, serial)) for seed in (1, 2) for serial in (1, 2)}) == 4


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 1.0])
def test_so_many_are_hit_as_was_asked_for(probability: float) -> None:
    share = hits(5, probability=probability).count(0) / 2_000
    assert abs(share - probability) < 0.04


def test_other_links_and_those_of_hardware_are_left_alone() -> None:
    faults = LinkFaults(1, frozenset({"dsa0", SUPERVISOR}))
    faults.suffer(Lasting(1, (LinkFault(1, "partition", "* -> *"),)))
    assert faults.copies("a", "dsa0", 1) == faults.copies("dsa0", "a", 1) == 1
    assert not faults.cut(SUPERVISOR, "a")
    assert faults.cut("a", "b")
    faults.suffer(Lasting(2, (LinkFault(2, "duplicate", "a -> b", 1.0),)))
    assert [faults.copies("a", "b", 1), faults.copies("b", "a", 1)] == [2, 1]
    assert [(one.did, one.source, one.destination) for one in faults.actions()] == [
        ("duplicated", "a", "b")
    ]
    assert faults.actions() == []


def test_what_is_delayed_keeps_its_order_and_comes_when_its_time_has_come() -> None:
    faults = LinkFaults(1, frozenset({SUPERVISOR}))
    faults.suffer(Lasting(1, (LinkFault(1, "delay", "a -> b", 1.0, (10, 1_000)),)))
    due = [faults.due("a", "b", now) for now in range(0, 2_000, 5)]
    assert due == sorted(due)
    assert all(10 <= at - now <= 1_000 for at, now in zip(due, range(0, 2_000, 5), strict=True))
    assert faults.due("b", "a", 7) == 7
    faults.suffer(Lasting(2))
    assert faults.due("a", "b", 2_000) == due[-1], "behind what waits already"
    assert faults.due("a", "b", due[-1]) == due[-1]


def test_delayed_frames_come_late_and_all_of_them_come(tmp_path: Path) -> None:
    wire = started(tmp_path, TWO_HOSTS)
    wire.suffer(("delay", "b -> c", 1.0, (5_000_000_000, 5_000_000_000)))
    before = came(wire, "b", "c")
    for calls in wire.calls.values():
        calls.clear()  # What was on its way already.
    for _ in range(4):
        wire.tick()
        while any(wire.calls.values()):
            wire.step()
    assert came(wire, "b", "c") == before
    for _ in range(3):
        wire.tick()
        while any(wire.calls.values()):
            wire.step()
    assert came(wire, "b", "c") > before
    wire.suffer()
    wire.run()
    assert_whole(wire)


# --- Credit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_credit_bounds_what_is_on_its_way(seed: int) -> None:
    """However acknowledgements come, are late or lost, and however often the sender goes back."""
    rng = Random(seed)
    outgoing = Outgoing()
    received = now = 0
    sent: dict[int, None] = {}
    for k in range(3_000):
        outgoing.push(letter(k, ASK))
        if rng.random() < 0.2:
            now += rng.randint(0, 3_000_000_000)
            outgoing.overdue(now)
        sent |= dict.fromkeys(leaving(outgoing, now))
        newest = max(sent)
        assert newest - received <= REQUESTS_MAX
        assert outgoing.requests <= REQUESTS_MAX
        if rng.random() < 0.3:
            received = rng.randint(received, newest)
            if rng.random() < 0.7:
                outgoing.acknowledge(received)
            else:
                received = outgoing.first - 1  # The acknowledgement was lost.
    outgoing.acknowledge(max(sent))
    assert list(sent) == sorted(sent)
