"""Guests of 2020 on the kernel of today: silent, complete in its refusals, and sharing a device."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from actors.vmm import Vmm
from clusters.sim.strategies import campaign, prepared
from clusters.sim.strategies.fail_nth import NTH
from clusters.sim.world import Setup, follow
from experiments.harness.config import load, machine_of, read_experiment
from experiments.harness.decades import target_of_today
from experiments.harness.setup import setup_of
from protocol.errors import ExperimentError
from protocol.machine import IOMMUFD
from protocol.names import Name
from protocol.properties import BY_NAME
from tests.worlds import assert_fine, world_of

IOASID: Final = Path(__file__).parents[2] / "experiments" / "ioasid"
CHAOS: Final = IOASID.parent / "chaos"
REFUSED: Final = CHAOS / "amnesia.toml"
"""Nobody on 7.3 keeps a ledger that KVM could ask for what it held."""
PLAYED: Final = sorted(set(CHAOS.glob("*.toml")) - {REFUSED})
MODERN: Final = ("revision=linux-7.3",)
PORTFOLIO: Final = "portfolio"
SEED: Final = 7
LIFE: Final = """
title = "one PASID of one guest, freed before it is unbound"
revision = "linux-7.3"
[[machine.unit]]
name = "dmar0"
[[machine.device]]
name = "dsa0"
unit = "dmar0"
"""
SHORT: Final = """
[[process]]
name = "vm1.guest"
steps = ["p = alloc", "bind p dsa0", "fault p dsa0", "free p", "unbind p dsa0"]
"""
TWO: Final = """
[guests]
count = 2
[[process]]
name = "vm1.guest"
steps = ["p = alloc", "bind p dsa0", "dma p dsa0", "unbind p dsa0", "free p"]
[[process]]
name = "vm2.guest"
steps = ["q = alloc", "bind q dsa0", "dma q dsa0", "unbind q dsa0", "free q"]
"""


@cache
def modern(name: str) -> Setup:
    """An experiment of the tree, played with the revision."""
    experiment = load(IOASID / f"{name}.toml", MODERN)
    return prepared(setup_of(experiment, name), PORTFOLIO)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "schedules"),
    [
        ("free_before_unbind", 60),
        ("normal_life", 100),
        ("unbind_after_free", 100),
        ("vm_killed", 20),
        ("page_requests_in_flight", 10),
        ("range_free_two_containers", 20),
        ("kvm_opens_too_late", 20),
        ("device_pulled_out", 10),
        ("concurrent_multi_device_bind", 10),
    ],
)
def test_nothing_is_violated(name: str, schedules: int) -> None:
    made, done = campaign(PORTFOLIO, SEED, 0), 0
    while done < schedules:
        for order in made.round()[: schedules - done]:
            result, lesson = follow(modern(name), order)
            assert_fine(result, f"{name}, {order}")
            made.learn(order, lesson)
            done += 1


@pytest.mark.long
def test_every_single_fault_of_a_life_leaves_it_sound() -> None:
    """fail-nth, complete: each failing step, each crash, each loss."""
    setup = prepared(world_of(LIFE + SHORT), NTH)
    made = campaign(NTH, SEED, 1)
    (plain,) = made.round()
    result, lesson = follow(setup, plain)
    assert_fine(result, plain.strategy)
    assert lesson.points == {"failing steps": 35, "crashes": 178, "losses": 501}
    made.learn(plain, lesson)
    ran = 0
    while orders := made.round():
        for order in orders:
            result, one = follow(setup, order)
            assert one.reached, order
            assert_fine(result, order.strategy)
            ran += 1
    assert ran == sum(lesson.points.values())


def outcomes(setup: Setup, schedules: int = 10) -> list[Name]:
    """Whose script came to no errno, in any of so many schedules."""
    made, names = campaign(PORTFOLIO, SEED, 0), dict[str, None]()
    for order in made.round()[:schedules]:
        result, _ = follow(prepared(setup, PORTFOLIO), order)
        names |= dict.fromkeys(one.property for one in result.violations)
    return list(names)


class OwnsItsDevices(Vmm):
    """As 7.3 has it: each VM's context claims the device."""

    __slots__ = ()

    def shares(self, _device: Name) -> bool:
        return False


def test_two_vms_share_a_device_because_no_context_claims_it() -> None:
    """Linux 7.3 itself lets one of them in: EPERM for the second context, and so EOPNOTSUPP."""
    wanted = TWO.replace('"bind p dsa0"', '"bind p dsa0 -> ok"')
    wanted = wanted.replace('"bind q dsa0"', '"bind q dsa0 -> ok"')
    assert outcomes(world_of(LIFE + wanted)) == []
    assert outcomes(replace(world_of(LIFE + wanted), classes={"vmm": OwnsItsDevices})) == [
        "outcomes-as-scripted"
    ]


def test_what_both_decades_have_judges_both_and_what_is_the_allocators_does_not() -> None:
    both = ("dma-in-its-own-life", "damage-confined-to-the-vm", "entries-cleared-before-reclaim")
    old = ("references-add-up", "quotas-add-up", "no-reference-while-pending")
    judged = [one.name for one in modern("normal_life").properties]
    assert [name for name in both if name not in judged] == []
    assert [name for name in old if name in judged] == []
    assert all(name in BY_NAME for name in (*both, *old))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("one core", "one vmm"),
        ("iommu", "intel_iommu"),
        ("all vfio", "all iommufd"),
        ("vm1.kvm", "vm1.kvm"),
        ("vfio <-> core", "iommufd <-> vmm"),
        ("core -> *", "vmm -> *"),
        ("all guest -> vfio", "all guest -> core"),
        ("vfio -> vm1.guest", "core -> vm1.guest"),
    ],
)
def test_whom_a_fault_of_2020_names_is_who_has_that_part(said: str, meant: str) -> None:
    machine = machine_of(read_experiment(LIFE, "x.toml"))
    assert target_of_today(said, machine) == meant


@pytest.mark.long
@pytest.mark.parametrize("file", PLAYED, ids=lambda path: path.stem)
def test_every_fault_plan_of_the_chaos_experiments_can_be_played(file: Path) -> None:
    setup = setup_of(load(file, MODERN), file.stem)
    assert setup.machine.stack == IOMMUFD


def test_a_loss_of_memory_is_refused() -> None:
    with pytest.raises(ExperimentError, match="since nobody keeps a ledger"):
        setup_of(load(REFUSED, MODERN), "amnesia")


def test_a_bind_that_fails_on_the_second_device_is_rolled_back_today_too() -> None:
    """Its site, too, is where the same step is."""
    (fault,) = modern("concurrent_multi_device_bind").nemeses
    assert (fault.site, fault.target) == ("intel_iommu.set_dev_pasid", "intel_iommu")


MDEV: Final = """
[[machine.mdev]]
name = "m1"
parent = "dsa0"
"""
RESET: Final = """
[[nemesis]]
fault = "reset"
target = "dsa0"
every_steps = [40, 300]
"""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (MDEV, "$.machine.mdev: cannot be played with 'linux-7.3': it has no aux domains"),
        (RESET, "$.nemesis: cannot be played with 'linux-7.3': nobody asks iommufd's user"),
        ("[processes]\ncount = 1\n", "$.processes.count: cannot be played with 'linux-7.3'"),
        ("[guests]\ncount = 0\n", "$.guests.count: cannot be played with 'linux-7.3'"),
    ],
)
def test_err_what_only_one_decade_has_is_refused_by_name(more: str, said: str) -> None:
    with pytest.raises(ExperimentError) as refused:
        read_experiment(LIFE + more, "x.toml")
    assert str(refused.value).startswith(f"x.toml: {said}")


def test_err_a_kernel_without_pasids_in_iommufd_has_no_guests() -> None:
    with pytest.raises(ExperimentError, match=r"'linux-6\.12' is of actors that the stack"):
        read_experiment(LIFE.replace("7.3", "6.12"), "x.toml")
