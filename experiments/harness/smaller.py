"""Experiments that are a little less than another one, for the shrinker: same file, fewer tables.

A VM, a device, a planned fault, a step, an operation, a number of the pool: each is left out once.
A mix that was drawn becomes the script of what was drawn, whose steps can be left out then.  What
is no experiment any more is not proposed.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from clusters.sim.shrink import Reduction
from clusters.sim.tape import Tape
from clusters.sim.world import Setup
from experiments.harness.config import Experiment, machine_of
from experiments.harness.script import read_step
from experiments.harness.scripting import scripts
from experiments.harness.tables import NemesisTable, ProcessTable
from protocol.errors import ExperimentError
from protocol.machine import IOASID, IOMMUFD
from protocol.names import Name, guest_of, kvm_of
from protocol.plan import Step

Make = Callable[[Experiment], Setup]
"""What the simulator runs for an experiment; refuses what is none."""
Less = Iterator[Experiment]

_VM: Final = re.compile(r"\bvm([0-9]+)\b")
_COUNT: Final = re.compile(r"\bx([0-9]+)\b")


@dataclass(frozen=True, slots=True)
class SmallerExperiment:
    """An experiment, and what the simulator runs of it."""

    experiment: Experiment
    make: Make
    setup: Setup

    def reductions(self, tape: Tape) -> Iterator[Reduction]:
        """The largest first: VMs, then what they do, then what they have."""
        experiment = self.experiment
        vms = 0 if experiment.stack == IOMMUFD else experiment.guests.count
        for k in range(vms, 0, -1):
            yield from self._valid(_without_vm(experiment, k), _names_without(experiment, k))
        for smaller in (
            *_without_last_process(experiment),
            *scripted(experiment, self.setup, tape),
            *_without_devices(experiment),
            *_without_steps(experiment),
            *_with_fewer_operations(experiment),
            *_without_nemeses(experiment),
            *_with_lower_counts(experiment),
            *_with_smaller_pool(experiment),
            *_with_a_plainer_mix(experiment),
            *_without_delay(experiment),
        ):
            yield from self._valid(smaller, {})

    def _valid(self, smaller: Experiment, names: Mapping[Name, Name]) -> Iterator[Reduction]:
        smaller = _sensible(smaller)
        if smaller == self.experiment:
            return
        try:
            setup = self.make(smaller)
        except ExperimentError:
            return
        yield Reduction(SmallerExperiment(smaller, self.make, setup), names)


# --- Who is there ---------------------------------------------------------------------------------


def _without_vm(experiment: Experiment, k: int) -> Experiment:
    """The VMs behind it move up."""

    def moved(text: str) -> str:
        return _VM.sub(lambda vm: f"vm{int(vm[1]) - (int(vm[1]) > k)}", text)

    def about(text: str) -> bool:
        return any(int(number) == k for number in _VM.findall(text))

    return structs.replace(
        experiment,
        guests=structs.replace(experiment.guests, count=experiment.guests.count - 1),
        process=tuple(
            ProcessTable(
                moved(one.name), tuple(moved(step) for step in one.steps if not about(step))
            )
            for one in experiment.process
            if not about(one.name)
        ),
        nemesis=tuple(
            structs.replace(one, target=moved(one.target))
            for one in experiment.nemesis
            if not about(one.target)
        ),
    )


def _without_last_process(experiment: Experiment) -> Less:
    """And without what the others do to it."""
    count = experiment.processes.count
    gone = f"proc{count}"
    if count:
        yield structs.replace(
            experiment,
            processes=structs.replace(experiment.processes, count=count - 1),
            process=tuple(
                structs.replace(one, steps=tuple(s for s in one.steps if gone not in s.split()))
                for one in experiment.process
                if one.name != gone
            ),
        )


def _names_without(experiment: Experiment, k: int) -> dict[Name, Name]:
    moved = range(k + 1, experiment.guests.count + 1)
    return {
        its(f"vm{number}"): its(f"vm{number - 1}") for number in moved for its in (guest_of, kvm_of)
    }


def _without_devices(experiment: Experiment) -> Less:
    """Without each mdev, each device with its mdevs, and each unit that has none."""
    table = experiment.machine
    for mdev in reversed(table.mdev):
        yield _without_all_of(experiment, (mdev.name,))
    for gone in reversed(table.device):
        shares = (mdev.name for mdev in table.mdev if mdev.parent == gone.name)
        yield _without_all_of(experiment, (gone.name, *shares))
    for unit in table.unit:
        if all(device.unit != unit.name for device in table.device):
            units = tuple(one for one in table.unit if one != unit)
            yield structs.replace(
                experiment,
                machine=structs.replace(table, unit=units),
                nemesis=tuple(one for one in experiment.nemesis if not _is_about(one, unit.name)),
            )


def _without_all_of(experiment: Experiment, gone: tuple[Name, ...]) -> Experiment:
    """Without these devices and mdevs, and what is about them."""
    table, guests = experiment.machine, experiment.guests
    groups = [tuple(name for name in group if name not in gone) for group in guests.groups]
    process = [
        structs.replace(one, steps=tuple(s for s in one.steps if not set(gone) & set(s.split())))
        for one in experiment.process
    ]
    nemeses = [n for n in experiment.nemesis if not any(_is_about(n, name) for name in gone)]
    return structs.replace(
        experiment,
        machine=structs.replace(
            table,
            device=tuple(device for device in table.device if device.name not in gone),
            mdev=tuple(mdev for mdev in table.mdev if mdev.name not in gone),
        ),
        guests=structs.replace(guests, groups=tuple(group for group in groups if group)),
        process=tuple(process),
        nemesis=tuple(nemeses),
    )


def _is_about(nemesis: NemesisTable, name: Name) -> bool:
    return name in re.split(r"[ .]", nemesis.target)


def _without_nemeses(experiment: Experiment) -> Less:
    for k in range(len(experiment.nemesis) - 1, -1, -1):
        left = (*experiment.nemesis[:k], *experiment.nemesis[k + 1 :])
        yield structs.replace(experiment, nemesis=left)


# --- What they do ---------------------------------------------------------------------------------


def scripted(experiment: Experiment, setup: Setup, tape: Tape) -> Less:
    """What the guests drew as scripts: submissions as they were, or all of them waited for."""
    if not experiment.guests.operations:
        return
    found = scripts(setup, tape)
    written = [one.name for one in experiment.process]
    for wait in (False, True):
        added = tuple(
            ProcessTable(name, tuple(s.removeprefix("async ") if wait else s for s in steps))
            for name, steps in found.items()
            if name not in written and steps
        )
        yield structs.replace(
            experiment,
            guests=structs.replace(experiment.guests, operations=0, mix={}),
            process=(*experiment.process, *added),
        )


def _without_steps(experiment: Experiment) -> Less:
    """Without half of a script, a quarter, ..., without each step; the end first."""
    for process in reversed(experiment.process):
        steps = process.steps
        size = len(steps)
        while size:
            for first in range(len(steps) - size, -1, -size):
                left = (*steps[:first], *steps[first + size :])
                yield _with_steps(experiment, process.name, left)
            size //= 2


def _with_steps(experiment: Experiment, name: Name, steps: tuple[str, ...]) -> Experiment:
    return structs.replace(
        experiment,
        process=tuple(
            structs.replace(one, steps=steps) if one.name == name else one
            for one in experiment.process
        ),
    )


def _with_lower_counts(experiment: Experiment) -> Less:
    """Of each `x8`: 1, half, one less."""
    for process in experiment.process:
        for k, step in enumerate(process.steps):
            count = int(found[1]) if (found := _COUNT.search(step)) else 1
            for lower in dict.fromkeys((1, count // 2, count - 1)):
                if 0 < lower < count:
                    text = _COUNT.sub(f"x{lower}" if lower > 1 else "", step)
                    steps = (*process.steps[:k], " ".join(text.split()), *process.steps[k + 1 :])
                    yield _with_steps(experiment, process.name, steps)


def _with_fewer_operations(experiment: Experiment) -> Less:
    guests = experiment.guests
    for fewer in dict.fromkeys((0, guests.operations // 2, guests.operations - 1)):
        if 0 <= fewer < guests.operations:
            yield structs.replace(experiment, guests=structs.replace(guests, operations=fewer))


def _with_a_plainer_mix(experiment: Experiment) -> Less:
    guests = experiment.guests
    if guests.mix and not guests.operations:
        yield structs.replace(experiment, guests=structs.replace(guests, mix={}))
    for gone in guests.mix:
        mix = {name: weight for name, weight in guests.mix.items() if name != gone}
        yield structs.replace(experiment, guests=structs.replace(guests, mix=mix))
    for bad in guests.misbehave:
        misbehave = tuple(one for one in guests.misbehave if one != bad)
        yield structs.replace(experiment, guests=structs.replace(guests, misbehave=misbehave))


# --- What they have -------------------------------------------------------------------------------


def _with_smaller_pool(experiment: Experiment) -> Less:
    """One PASID for each VM, or half of them, or one less; and the same of a quota.

    A modern kernel has no pool: each device has its own limit.
    """
    if experiment.played != IOASID:
        return
    pool, count = experiment.pool, max(1, experiment.guests.count)
    quota = pool.quota or max(1, pool.pasids // count)
    for pasids, each in (
        (count, 1),
        (pool.pasids // 2, min(quota, pool.pasids // 2 // count)),
        (quota * count, quota),
        (pool.pasids, quota - 1),
        (pool.pasids - 1, min(quota, (pool.pasids - 1) // count)),
    ):
        if 0 < pasids <= pool.pasids and each > 0:
            yield structs.replace(experiment, pool=structs.replace(pool, pasids=pasids, quota=each))


def _without_delay(experiment: Experiment) -> Less:
    yield structs.replace(
        experiment, network=structs.replace(experiment.network, delay_steps=(0, 0))
    )


# --- What makes sense -----------------------------------------------------------------------------


def _sensible(experiment: Experiment) -> Experiment:
    """Without the steps whose variable nobody allocates any more, and without empty scripts."""
    try:
        machine = machine_of(experiment)
        scripts = {
            one.name: [read_step(text, one.name, machine, one.name) for text in one.steps]
            for one in experiment.process
            if one.name not in (*machine.processes, *machine.callers)  # Theirs are others.
        }
    except (ExperimentError, StopIteration):
        return experiment
    process = tuple(
        structs.replace(one, steps=tuple(_allocated(scripts, one.name)))
        if one.name in scripts
        else one
        for one in experiment.process
    )
    if not experiment.guests.operations:
        process = tuple(one for one in process if one.steps)
    return structs.replace(experiment, process=process)


def _allocated(scripts: dict[Name, list[Step]], name: Name) -> Iterator[str]:
    """The steps of a script whose variables are allocated."""
    known: list[str] = []
    for step in scripts[name]:
        if step.operation == "alloc":
            known.append(step.variable)
            yield step.text
        elif not step.variable:
            yield step.text
        elif step.owner:
            its = scripts.get(step.owner, [])
            if any((one.operation, one.variable) == ("alloc", step.variable) for one in its):
                yield step.text
        elif step.variable in known:
            yield step.text
