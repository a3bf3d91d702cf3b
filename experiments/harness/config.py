"""The experiment file: TOML, typed, every default written out (ux: the experiment file).

`load` reads a file and the `--set` changes into an `Experiment`; `machine_of` and `plans_of` make
of it what the worlds run.  Whatever is wrong is one sentence: file, place, rule, nearest spelling.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, field, structs

from clusters.cluster import MODERN, ROLES
from clusters.lineup import Lineup, check_played, lineup, stack_of
from clusters.nemesis import OF_HEAD
from experiments.harness.decades import with_guests
from experiments.harness.knowing import check_variables, is_forked, told
from experiments.harness.modern import (
    check_values,
    modern_machine,
    read_call,
    refuse_modern,
)
from experiments.harness.own import as_named
from experiments.harness.process_script import read_process_step
from experiments.harness.reading import decode, read_toml
from experiments.harness.script import read_step
from experiments.harness.sva_process_script import check_threads, read_sva_step
from experiments.harness.tables import (
    DEEP,
    CallersTable,
    Closed,
    ExpectTable,
    ExploreTable,
    FinallyTable,
    GuestsTable,
    LiveTable,
    MachineTable,
    NemesisTable,
    NetworkTable,
    PoolTable,
    ProcessesTable,
    ProcessTable,
)
from protocol.errors import ExperimentError, nearest
from protocol.machine import GUESTS, IOMMUFD, Device, Machine, Mdev, Unit, Vm
from protocol.names import Name, guest_of, vm_of
from protocol.plan import MANY, MISBEHAVIOURS, OPERATIONS, SCRIPTED, Plan, Step

FORMAT: Final = 1
FILE_BYTES_MAX: Final = 1 << 20
EVERY_GUEST: Final = "vm*.guest"
_MANY: Final = re.compile(rf"((\w+\s*=\s*alloc|({'|'.join(MANY)})\s.*)\s)x([0-9]+)(\s*(->.*)?)")


class Experiment(Closed, frozen=True):
    """One experiment, as resolved.

    `revision` is a published state of the protocol, `defects` are mistakes on top of it; both may
    be Python files, `mine.py`, that the command line names, too.
    """

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    source: str = ""
    stack: Literal["ioasid", "iommufd"] = "ioasid"
    revision: str = "sound"
    defects: tuple[str, ...] = ()
    machine: MachineTable = MachineTable()
    pool: PoolTable = PoolTable()
    guests: GuestsTable = GuestsTable()
    processes: ProcessesTable = ProcessesTable()
    callers: CallersTable = CallersTable()
    process: tuple[ProcessTable, ...] = ()
    network: NetworkTable = NetworkTable()
    nemesis: tuple[NemesisTable, ...] = ()
    finally_: FinallyTable = field(default=FinallyTable(), name="finally")
    expect: ExpectTable = ExpectTable()
    explore: ExploreTable = ExploreTable()
    live: LiveTable = LiveTable()

    @property
    def lineup(self) -> Lineup:
        """Which protocol is played."""
        return lineup(self.revision, self.defects)

    @property
    def played(self) -> str:
        """The stack that it is played on: a revision may have the guests of another."""
        return stack_of(self.lineup, self.stack)


def load(path: Path, changes: tuple[str, ...] = ()) -> Experiment:
    """The experiment in a file, with `--set` changes (`network.delay_steps=[0,3]`) applied."""
    return read_experiment(read_toml(path, FILE_BYTES_MAX), str(path), changes)


def read_experiment(text: str, where: str, changes: tuple[str, ...] = ()) -> Experiment:
    """The experiment that `text` says; everything in it is checked, also what it refers to."""
    experiment = decode(text, where, Experiment, changes)
    experiment = structs.replace(
        experiment,
        revision=as_named(experiment.revision, where),
        defects=tuple(as_named(name, where) for name in experiment.defects),
    )
    places = (f"{where}: $.revision", f"{where}: $.defects")
    check_played(experiment.lineup, experiment.played, *places)
    for k, nemesis in enumerate(experiment.nemesis):
        if not nemesis.target and nemesis.fault not in ("fail", *OF_HEAD):
            raise ExperimentError(f"{where}: $.nemesis[{k}]: the key 'target' is missing")
    if experiment.explore.depth and experiment.explore.strategy not in DEEP:
        raise ExperimentError(
            f"{where}: $.explore.depth: strategy '{experiment.explore.strategy}' has none"
            f" (these have: {', '.join(DEEP)})"
        )
    machine_of(experiment, where)
    plans_of(experiment, where)
    return experiment


def machine_of(experiment: Experiment, where: str = "experiment") -> Machine:
    """The machine an experiment describes; names must be known and unique."""
    if experiment.stack == IOMMUFD:
        return modern_machine(experiment, where)
    refuse_modern(experiment, where)
    table, guests = experiment.machine, experiment.guests
    units = [unit.name for unit in table.unit]
    devices = [device.name for device in table.device]
    vms = [f"vm{k}" for k in range(1, guests.count + 1)]
    processes = tuple(f"proc{k}" for k in range(1, experiment.processes.count + 1))
    shares = [mdev.name for mdev in table.mdev]
    others = [*vms, *processes, "core", "workqueue", "iommu", "vfio", "supervisor"]
    _unique([*units, *devices, *shares, *others], where)
    for k, device in enumerate(table.device):
        if device.unit not in units:
            raise ExperimentError(
                f"{where}: $.machine.device[{k}].unit: '{device.unit}' is not a unit"
                f"{nearest(device.unit, units)} (units: {', '.join(units)})"
            )
    mdevs = _mdevs(table, where)
    parents = [mdev.parent for mdev in mdevs]
    devices = [name for name in devices if name not in parents] + shares
    groups = guests.groups or tuple((device,) for device in devices)
    for k, group in enumerate(groups):
        for name in group:
            if name not in devices:
                raise ExperimentError(
                    f"{where}: $.guests.groups[{k}]: '{name}' is not a device"
                    f"{nearest(name, devices)} (devices: {', '.join(devices)})"
                )
    _unique([name for group in groups for name in group], f"{where}: $.guests.groups")
    pool = experiment.pool
    owners = guests.count + bool(processes)  # All processes of the host have one set.
    quota = pool.quota or max(1, pool.pasids // max(1, owners))
    if quota * guests.count + bool(processes) > pool.pasids:
        raise ExperimentError(
            f"{where}: $.pool.quota: {guests.count} VMs of {quota} PASIDs need"
            f" {quota * guests.count}, the pool has {pool.pasids}"
            f"{', and the processes of the host need some, too' if processes else ''}"
        )
    machine = Machine(
        units=tuple(Unit(unit.name, unit.prq, unit.pds) for unit in table.unit),
        devices=tuple(
            Device(d.name, d.unit, d.pasids, d.ats, d.pri, d.wq, d.wq_size) for d in table.device
        ),
        vms=tuple(Vm(vm, groups) for vm in vms),
        pasids=pool.pasids,
        quota=quota,
        mdevs=mdevs,
        processes=processes,
    )
    return with_guests(machine, experiment, where) if experiment.played == GUESTS else machine


def _mdevs(table: MachineTable, where: str) -> tuple[Mdev, ...]:
    """The shares of devices; a device that is shared out like this is in no group itself."""
    shared = [device.name for device in table.device if device.wq == "shared"]
    for k, mdev in enumerate(table.mdev):
        if mdev.parent not in shared:
            raise ExperimentError(
                f"{where}: $.machine.mdev[{k}].parent: '{mdev.parent}' is not a device with a"
                f" shared WQ{nearest(mdev.parent, shared)} (those are: {', '.join(shared)})"
            )
    return tuple(Mdev(mdev.name, mdev.parent) for mdev in table.mdev)


def _unique(names: list[str], where: str) -> None:
    seen: dict[str, None] = {}
    for name in names:
        if name in seen:
            raise ExperimentError(f"{where}: the name '{name}' is given twice")
        seen[name] = None


def at_large(experiment: Experiment) -> Experiment:
    """As hosts run it: with the VMs and rounds of `[live]`, which the simulator does not heed."""
    guests, live = experiment.guests, experiment.live
    return structs.replace(
        experiment,
        process=tuple(
            structs.replace(one, steps=tuple(_more(step, live.rounds) for step in one.steps))
            for one in experiment.process
        ),
        guests=structs.replace(
            guests, count=live.guests or guests.count, operations=guests.operations * live.rounds
        ),
        live=structs.replace(live, guests=0, rounds=1),
    )


def _more(step: str, rounds: int) -> str:
    """A step of many variables, with so many times as many of them."""
    found = _MANY.fullmatch(step.strip())
    return f"{found[1]}x{int(found[4]) * rounds}{found[5]}" if found else step


def plans_of(experiment: Experiment, where: str = "experiment") -> dict[Name, Plan]:
    """What each guest does: its script, if it has one, else its mix."""
    machine = machine_of(experiment, where)
    guests = experiment.guests
    for operation in guests.mix:
        if operation not in OPERATIONS:
            raise ExperimentError(
                f"{where}: $.guests.mix: '{operation}' is not an operation"
                f"{nearest(operation, OPERATIONS)} (operations: {', '.join(OPERATIONS)})"
            )
        if operation in SCRIPTED:
            raise ExperimentError(
                f"{where}: $.guests.mix: '{operation}' is for scripts, nobody draws it"
            )
    assert set(guests.misbehave) <= set(MISBEHAVIOURS)
    if guests.operations and not sum(guests.mix.values()):
        raise ExperimentError(
            f"{where}: $.guests.mix: {guests.operations} operations, but none has a weight"
        )
    mix = Plan(operations=guests.operations, mix=guests.mix, misbehave=guests.misbehave)
    plans = {guest_of(vm.name): mix for vm in machine.vms}
    plans |= dict.fromkeys((*machine.processes, *machine.callers), Plan())
    scripts: dict[Name, tuple[Step, ...]] = {}
    processes = list(_each_its_own(experiment.process, machine))
    for k, process in processes:
        place = f"{where}: $.process[{k}]"
        if process.name not in plans:
            raise ExperimentError(
                f"{place}.name: '{process.name}' is not a process{nearest(process.name, plans)}"
                f" (processes: {', '.join(plans) or 'none, guests.count is 0'})"
            )
        if process.name in scripts:
            raise ExperimentError(f"{place}.name: '{process.name}' has a script already")
        read = _reader(process.name, machine)
        scripts[process.name] = tuple(
            read(step, process.name, machine, f"{place}.steps[{i}]")
            for i, step in enumerate(process.steps)
        )
    places = {one.name: f"{where}: $.process[{k}]" for k, one in processes}
    calls = {name: steps for name, steps in scripts.items() if name in machine.callers}
    check_values(calls, places)
    if machine.stack == IOMMUFD:
        check_threads(
            {name: scripts[name] for name in machine.processes if name in scripts}, places
        )
    check_variables({name: one for name, one in scripts.items() if name not in calls}, places)
    for name, steps in scripts.items():
        if name in machine.callers:
            plans[name] = Plan(steps=steps)
        elif name in machine.processes:
            plans[name] = Plan(steps=steps, forked=is_forked(name, scripts))
        else:
            plans[name] = Plan(steps=steps, misbehave=guests.misbehave, tell=told(name, scripts))
    return plans


def _each_its_own(
    processes: Sequence[ProcessTable], machine: Machine
) -> Iterator[tuple[int, ProcessTable]]:
    """What is written for every guest is the script of each that has none of its own."""
    named = {one.name for one in processes}
    rest = [name for vm in machine.vms if (name := guest_of(vm.name)) not in named]
    for k, one in enumerate(processes):
        for name in rest if one.name == EVERY_GUEST else (one.name,):
            yield k, structs.replace(one, name=name)


def _reader(name: Name, machine: Machine) -> Callable[[str, Name, Machine, str], Step]:
    """How the script of a process is read."""
    if name in machine.callers:
        return read_call
    if name in machine.processes and machine.stack == IOMMUFD:
        return read_sva_step
    return read_process_step if name in machine.processes else read_step


def kinds() -> tuple[str, ...]:
    """The kinds of actors a nemesis may name."""
    return tuple(dict.fromkeys((*ROLES, *MODERN)))


def is_vm(name: Name, machine: Machine) -> bool:
    """Whether `name` belongs to one of the VMs."""
    return any(vm.name == vm_of(name) for vm in machine.vms)
