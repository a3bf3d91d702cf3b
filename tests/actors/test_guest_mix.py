"""Random work: a good guest stays good whatever is drawn, and only the asked-for sins are done."""

from collections import Counter
from random import Random

import pytest

from actors.guest import Guest
from protocol.facts import OpInvoked
from protocol.names import Name
from protocol.plan import MISBEHAVIOURS, OPERATIONS, SCRIPTED, Plan
from tests.actors.guest_hands import GUEST, MACHINE, Host

DRAWN = [one for one in OPERATIONS if one not in ("exit", *SCRIPTED)]
ALL = dict.fromkeys(DRAWN, 1) | {"dma": 4, "fault": 3}
LATE = ("double-free", "late-unbind", "free-before-unbind", "unbind-with-dma", "unbind-in-use")


class Drawn:
    """Chance from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def fails(self, actor: Name, site: str) -> bool:
        return False

    def draw(self, actor: Name, bound: int) -> int:
        return self.random.randrange(bound)


class Last:
    """Chance that always draws the last."""

    def fails(self, actor: Name, site: str) -> bool:
        return False

    def draw(self, actor: Name, bound: int) -> int:
        return bound - 1


def run(plan: Plan, seed: int, name: Name = GUEST) -> Host:
    host = Host(Guest.of(MACHINE, name, plan), Drawn(seed))
    host.run()
    return host


def operations(host: Host) -> list[str]:
    return [fact.operation for fact in host.facts if isinstance(fact, OpInvoked)]


@pytest.mark.parametrize("seed", range(20))
def test_a_good_guest_never_sins_and_leaves_nothing_behind(seed: int) -> None:
    host = run(Plan(operations=40, mix=ALL), seed)
    assert host.sins == []
    assert host.gpasids == {}
    assert host.bound == []
    assert host.flying == {}
    assert not any(host.slots.values())
    assert not host.guest.todo
    assert host.guest.tasks == {}


def test_every_operation_comes_up() -> None:
    seen = Counter(what for seed in range(10) for what in operations(run(Plan((), 40, ALL), seed)))
    assert sorted(seen) == sorted(ALL)


@pytest.mark.parametrize(
    ("misbehaviour", "sins"),
    [
        ("free-before-unbind", ["free-before-unbind"]),
        ("unbind-with-dma", ["unbind-with-dma", "unbind-in-use"]),
        ("double-free", ["double-free"]),
        ("late-unbind", ["late-unbind"]),
        ("no-response", ["unbind-with-dma"]),
        ("foreign-pasid", list(LATE)),
    ],
)
def test_only_the_asked_for_sins_are_done_and_all_comes_to_an_end(
    misbehaviour: str, sins: list[str]
) -> None:
    plan = Plan(operations=40, mix=ALL, misbehave=(misbehaviour,))
    hosts = [run(plan, seed) for seed in range(12)]
    done = {sin for host in hosts for sin in host.sins}
    assert sins[0] in done
    assert done <= set(sins)
    assert all(not host.guest.todo and not host.guest.busy for host in hosts)


def test_a_guest_that_does_everything_wrong_still_comes_to_an_end() -> None:
    plan = Plan(operations=60, mix=ALL, misbehave=tuple(MISBEHAVIOURS))
    for seed in range(15):
        host = run(plan, seed)
        assert not host.guest.todo
        assert host.guest.tasks == {}


def test_at_most_four_pasids_at_a_time_and_the_plainest_draw_is_the_first() -> None:
    host = Host(Guest.of(MACHINE, GUEST, Plan(operations=9, mix={"alloc": 2, "free": 1})))
    host.run()
    assert operations(host) == [*["alloc"] * 4, *["free", "alloc"] * 2, "free", *["free"] * 3]


def test_exit_ends_the_mix() -> None:
    host = run(Plan(operations=9, mix={"exit": 1}), 0)
    assert operations(host) == ["exit"]


def test_a_mix_in_which_nothing_makes_sense_ends() -> None:
    host = run(Plan(operations=9, mix={"dma": 1, "alloc": 0}), 0)
    assert operations(host) == []


def test_a_guest_without_devices_can_still_misbehave() -> None:
    plan = Plan(operations=9, mix={"alloc": 1, "free": 1}, misbehave=tuple(MISBEHAVIOURS))
    host = run(plan, 1, "vm3.guest")
    assert "alloc" in operations(host)


def test_submissions_beside_the_one_that_is_waited_for_are_few() -> None:
    plan = Plan(operations=30, mix={"alloc": 1, "bind": 1, "fault": 9}, misbehave=("no-response",))
    guest = Guest.of(MACHINE, GUEST, plan)
    host = Host(guest, Last())
    outcomes = host.run()
    assert [fact.operation for fact in outcomes[:3]] == ["alloc", "bind", "enable"]
    assert host.most_running == 4
    assert guest.tasks == {}


def test_what_only_scripts_have_is_never_drawn() -> None:
    """Whoever gives it a weight is told so; a guest that is given one draws other things."""
    mix = {"alloc": 1, "free": 1} | dict.fromkeys(SCRIPTED, 50)
    assert set(operations(run(Plan((), 40, mix), 1))) == {"alloc", "free"}
