import os
from dataclasses import replace
from typing import Final

import pytest

from actors.ioasid_core import IoasidCore
from clusters.cluster import Actor
from clusters.lineup import Lineup, Own
from clusters.nemesis import Nemesis
from clusters.sim import determinism
from clusters.sim.strategies import Order
from clusters.sim.world import Setup
from clusters.worker_processes import Processes
from protocol.effects import Out
from protocol.errors import DivergedError, ExperimentError
from protocol.facts import WorkEnded
from protocol.machine import Device, Machine, Unit, Vm
from protocol.messages import AllocPasid
from protocol.names import Name
from protocol.plan import Plan
from protocol.properties import PROPERTIES
from tests.clusters.toys import COUNTER, NO_MEMORY, NOTHING, AllComeBack, Counter, cast

pytestmark = pytest.mark.long

SETUP: Final = Setup(
    NOTHING,
    cast=cast,
    properties=(AllComeBack,),
    nemeses=(
        Nemesis("crash", COUNTER, every_steps=(5, 20)),
        Nemesis("fail", site=NO_MEMORY.name, probability=0.2),
    ),
)


class Shuffled(Counter):
    """Lets a set decide an order, which no actor may."""

    def on_alloc_pasid(self, alloc: AllocPasid, sender: Name, out: Out) -> None:
        Counter.on_alloc_pasid(self, alloc, sender, out)
        out.record(WorkEnded("-".join({f"user{k}" for k in range(30)}), alloc.min, 0))


class SameCore(IoasidCore):
    """A stand-in that another process has to import."""


MINE: Final = Own(
    "mine.py",
    "from actors.kvm import Kvm\nclass Mine(Kvm):\n    __slots__ = ()\nCLASSES = {'kvm': Mine}\n",
)


def shuffled() -> dict[Name, Actor]:
    return {**cast(), COUNTER: Shuffled(2)}


def test_a_schedule_is_the_same_in_a_process_with_another_hash_seed() -> None:
    determinism.check(SETUP, range(8))


def test_a_digest_is_of_the_whole_history() -> None:
    order = Order("random", 4)
    digest = determinism.digest(SETUP, order)
    assert len(digest) == 32
    assert digest == determinism.digest(SETUP, order)
    assert digest != determinism.digest(replace(SETUP, experiment="other"), order)
    assert len(set(determinism.lines(SETUP, order))) > 50


def test_many_workers_check_what_one_does() -> None:
    orders = [Order("random", seed) for seed in range(8)]
    broken = replace(SETUP, cast=shuffled, nemeses=())
    with Processes(2) as workers:
        determinism.check_orders(SETUP, orders, workers)
        with pytest.raises(DivergedError, match=r"^seed 0 is not the same schedule twice"):
            determinism.check_orders(broken, orders, workers)


def test_err_an_order_that_a_set_decides_is_found_with_its_step() -> None:
    setup = replace(SETUP, cast=shuffled, nemeses=())
    with pytest.raises(DivergedError, match=r"they differ at step \d+, here \{.*under another"):
        determinism.check(setup, [1])


def test_err_what_another_process_cannot_import_is_refused() -> None:
    unnamed = replace(SETUP, cast=lambda: cast(users=4))
    with pytest.raises(ExperimentError, match="cannot be imported by name"):
        determinism.check(unnamed, [1])


def test_err_a_second_run_that_breaks_is_our_own_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(determinism, "digest", only_here)
    with pytest.raises(KeyError, match="no such thing"):
        determinism.check(SETUP, [1])


def only_here(_setup: Setup, _order: Order) -> str:
    """It breaks in a process that was given a hash seed."""
    if os.environ.get("PYTHONHASHSEED") in determinism.HASH_SEEDS:
        raise KeyError("no such thing")
    return ""


def test_a_setup_travels_to_another_process_whole() -> None:
    plan = Plan(operations=10, mix={"alloc": 3, "bind": 5, "dma": 5, "unbind": 2, "free": 3})
    setup = Setup(
        machine=Machine(
            units=(Unit("dmar0"),),
            devices=(Device("dsa0", "dmar0"),),
            vms=(Vm("vm1", (("dsa0",),)), Vm("vm2", (("dsa0",),))),
        ),
        plans={"vm1.guest": plan, "vm2.guest": plan},
        lineup=Lineup("mine.py", (), (MINE,)),
        classes={"core": SameCore},
        properties=PROPERTIES,
        nemeses=(Nemesis("lose", "vm2.guest", every_steps=(99, 99), times=1),),
        max_steps=300,
        quiet_steps=900,
        heal=("crash", "kvm"),
        stop_at_first=False,
        delay_steps=(0, 3),
        experiment="whole",
        run="r1",
    )
    with Processes(1) as workers:
        (whole,) = workers.map(the_same, setup, [1])
    assert whole == setup
    determinism.check(setup, [1, 2])


def the_same(setup: Setup, _: int) -> Setup:
    """What another process has understood."""
    return setup
