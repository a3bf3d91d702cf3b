"""Smaller experiments: each is one, is less, and can be written and read again."""

from pathlib import Path
from typing import Final

import pytest
from msgspec import structs

from clusters.nemesis import OF_NODES
from clusters.sim.shrink.size import size_of
from clusters.sim.tape import Tape
from clusters.sim.world import Setup, simulate
from experiments.harness.config import Experiment, load, read_experiment
from experiments.harness.reading import EXPERIMENTS
from experiments.harness.scripting import scripts, text_of
from experiments.harness.setup import setup_of
from experiments.harness.smaller import SmallerExperiment
from experiments.harness.store import resolved
from protocol.plan import Step

THREE = """
title = "three VMs"
[pool]
pasids = 9
quota = 2
[[machine.unit]]
name = "dmar0"
[[machine.unit]]
name = "dmar1"
[[machine.device]]
name = "dsa0"
unit = "dmar0"
[[machine.device]]
name = "dsa1"
unit = "dmar1"
[guests]
count = 3
groups = [["dsa0", "dsa1"]]
misbehave = ["double-free"]
[[process]]
name = "vm1.guest"
steps = ["p = alloc", "bind p dsa0", "dma p dsa1 x8", "free p"]
[[process]]
name = "vm3.guest"
steps = ["q = alloc", "async dma vm1.guest.p dsa1 x3", "free q -> ok"]
[[nemesis]]
fault = "crash"
target = "vm3.kvm"
[[nemesis]]
fault = "lose"
target = "vm2.guest"
[[nemesis]]
fault = "delay"
target = "dmar1 -> dsa1"
[[nemesis]]
fault = "crash"
target = "one kvm"
"""


def make(experiment: Experiment) -> Setup:
    return setup_of(experiment, "small")


def source_of(experiment: Experiment) -> SmallerExperiment:
    return SmallerExperiment(experiment, make, make(experiment))


def smaller(experiment: Experiment, tape: Tape | None = None) -> list[Experiment]:
    """All that is proposed."""
    source = source_of(experiment)
    tape = tape or simulate(source.setup, 7).tape
    found = []
    for reduction in source.reductions(tape):
        assert isinstance(reduction.source, SmallerExperiment)
        found.append(reduction.source.experiment)
    return found


FILES: Final = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.long] * (path.parent.name == "bugs"))
    for path in sorted(EXPERIMENTS.glob("*/*.toml"))
]


@pytest.mark.parametrize("path", FILES)
def test_every_reduction_of_every_experiment_is_one_and_can_be_written(path: Path) -> None:
    experiment = load(path)
    simulated = tuple(one for one in experiment.nemesis if one.fault not in OF_NODES)
    experiment = structs.replace(experiment, nemesis=simulated)  # The simulator has no nodes.
    source = source_of(experiment)
    tape = simulate(source.setup, 7).tape
    whole = size_of(source.setup, tape, 0, 0)
    found = smaller(experiment, tape)
    assert found
    for one in found:
        assert read_experiment(resolved(one).decode(), "small") == one
        assert one != experiment
    less = [size_of(make(one), tape, 0, 0) < whole for one in found]
    assert sum(less) >= 0.8 * len(less)


def test_a_vm_goes_with_all_that_is_about_it_and_the_others_move_up() -> None:
    experiment = read_experiment(THREE, "three")
    source = source_of(experiment)
    reductions = list(source.reductions(simulate(source.setup, 7).tape))
    third, second, first = (one.source for one in reductions[:3])
    assert isinstance(first, SmallerExperiment)
    assert isinstance(second, SmallerExperiment)
    assert isinstance(third, SmallerExperiment)
    assert [one.name for one in third.experiment.process] == ["vm1.guest"]
    assert [one.target for one in third.experiment.nemesis] == [
        "vm2.guest", "dmar1 -> dsa1", "one kvm",
    ]  # fmt: skip
    assert [one.name for one in second.experiment.process] == ["vm1.guest", "vm2.guest"]
    assert second.experiment.process[1].steps == experiment.process[1].steps
    assert second.experiment.nemesis[0].target == "vm2.kvm"
    assert reductions[1].names == {"vm3.guest": "vm2.guest", "vm3.kvm": "vm2.kvm"}
    (process,) = first.experiment.process
    assert (process.name, process.steps) == ("vm2.guest", ("q = alloc", "free q -> ok"))


def test_a_device_goes_with_its_steps_and_then_its_unit_may_go() -> None:
    experiment = read_experiment(THREE, "three")
    without = next(one for one in smaller(experiment) if len(one.machine.device) == 1)
    assert without.machine.device[0].name == "dsa0"
    assert without.guests.groups == (("dsa0",),)
    assert [one.steps for one in without.process] == [
        ("p = alloc", "bind p dsa0", "free p"), ("q = alloc", "free q -> ok"),
    ]  # fmt: skip
    assert all("dsa1" not in one.target for one in without.nemesis)
    assert any(len(one.machine.unit) == 1 for one in smaller(without))


def test_an_mdev_goes_alone_and_with_its_parent() -> None:
    experiment = load(EXPERIMENTS / "ioasid" / "two_aux_domains.toml")
    found = [[mdev.name for mdev in one.machine.mdev] for one in smaller(experiment)]
    assert [one for one in found if len(one) < 2] == [["m0"], ["m1"], []]
    without = next(one for one in smaller(experiment) if len(one.machine.mdev) == 1)
    assert all("m1" not in step.split() for step in without.process[0].steps)


def test_who_allocates_goes_with_all_who_use_it() -> None:
    """Also those of another process."""
    experiment = read_experiment(THREE, "three")
    found = [[one.steps for one in each.process] for each in smaller(experiment)]
    assert [("q = alloc", "free q -> ok")] in found
    assert [experiment.process[0].steps, ("async dma vm1.guest.p dsa1 x3",)] in found
    assert [experiment.process[0].steps] in found


def test_a_count_goes_to_one_to_half_and_down() -> None:
    experiment = read_experiment(THREE, "three")
    said = [step for each in smaller(experiment) for one in each.process for step in one.steps]
    for text in ("dma p dsa1", "dma p dsa1 x4", "dma p dsa1 x7"):
        assert text in said
    for text in ("async dma vm1.guest.p dsa1", "async dma vm1.guest.p dsa1 x2"):
        assert text in said


def test_a_mix_becomes_the_script_of_what_was_drawn() -> None:
    """What the guests do then without drawing is what they did, from the first to the last."""
    experiment = load(EXPERIMENTS / "ioasid" / "free_before_unbind.toml")
    setup = make(experiment)
    tape = simulate(setup, 7).tape
    found = scripts(setup, tape)
    assert list(found) == ["vm1.guest", "vm2.guest"]
    assert all(len(steps) >= 24 for steps in found.values())
    written = next(one for one in smaller(experiment, tape) if not one.guests.operations)
    assert {one.name: one.steps for one in written.process} == found
    again = simulate(make(structs.replace(written, nemesis=())), 7)
    assert scripts(make(written), again.tape) == found


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Step("alloc", "a"), "a = alloc"),
        (Step("bind", "a", device="dsa0"), "bind a dsa0"),
        (Step("free", "a"), "free a"),
        (Step("dma", "a", device="dsa0", count=3, wait=False), "async dma a dsa0 x3"),
        (Step("dma", number=17, device="dsa0"), "dma #17 dsa0"),
        (Step("unbind", "q", owner="vm2.guest", device="dsa0"), "unbind vm2.guest.q dsa0"),
        (Step("unims", device="dsa0"), "unims dsa0"),
        (Step("exit"), "exit"),
    ],
)
def test_a_step_has_its_text(step: Step, text: str) -> None:
    assert text_of(step) == text


def test_the_last_process_of_the_host_goes_with_what_is_done_to_it() -> None:
    text = """title = "t"
[guests]
count = 0
[processes]
count = 2
[[process]]
name = "proc1"
steps = ["open dsa0", "fork proc2", "kill proc2", "exit"]
[[process]]
name = "proc2"
steps = ["close dsa0"]
"""
    experiment = read_experiment(text, "x.toml")
    tape = simulate(make(experiment), 1).tape
    found = SmallerExperiment(experiment, make, make(experiment)).reductions(tape)
    smaller = next(one.source for one in found)
    assert isinstance(smaller, SmallerExperiment)
    assert smaller.experiment.processes.count == 1
    assert [one.steps for one in smaller.experiment.process] == [("open dsa0", "exit")]
