"""The experiment file: TOML, typed, every default written out (ux: the experiment file).

`load` reads a file and the `--set` changes into an `Experiment`; `machine_of` and `plans_of` make
of it what the worlds run.  Whatever is wrong is one sentence: file, place, rule, nearest spelling.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from clusters.lineup import Lineup, check_played, lineup
from experiments.harness.knowing import check_variables, is_forked, told
from experiments.harness.process_script import read_process_step
from experiments.harness.reading import decode, read_toml
from experiments.harness.script import read_step
from protocol.errors import ExperimentError, nearest
from protocol.machine import Device, Machine, Mdev, Unit, Vm
from protocol.names import PASID_COUNT, PASID_MIN, Name, guest_of, vm_of
from protocol.plan import MISBEHAVIOURS, OPERATIONS, SCRIPTED, Plan, Step

FORMAT: Final = 1
FILE_BYTES_MAX: Final = 1 << 20

Word = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Positive = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Seconds = Annotated[float, Meta(ge=0, le=366 * 86_400)]
Fault = Literal[
    "crash", "amnesia", "lose", "pause", "partition", "delay", "duplicate", "drop", "fail",
    "remove", "reset",
]  # fmt: skip
Misbehaviour = Literal[
    "free-before-unbind", "unbind-with-dma", "double-free", "late-unbind", "no-response",
    "foreign-pasid",
]  # fmt: skip
Strategy = Literal[
    "portfolio", "random", "pct", "pos", "coverage", "delay-bounded", "fail-nth", "fail-random",
    "breadth-first", "depth-first",
]  # fmt: skip
DEEP: Final = ("pct", "delay-bounded", "fail-nth", "breadth-first")
"""Strategies with a depth."""
Semantics = Literal["reliable", "at-least-once", "at-most-once", "any-order"]


class Closed(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file: a key that is not named here is refused."""


class UnitTable(Closed, frozen=True):
    """`[[machine.unit]]`: an IOMMU unit; `prq` page requests fit into its ring.

    Without `pds` (page-request drain support) PRI stays off on the devices behind it.
    """

    name: Word
    prq: Annotated[int, Meta(ge=1, le=2048)] = 4
    pds: bool = True


class DeviceTable(Closed, frozen=True):
    """`[[machine.device]]`: a device behind a unit."""

    name: Word
    unit: Word
    wq: Literal["shared", "dedicated"] = "shared"
    wq_size: Annotated[int, Meta(ge=1, le=1024)] = 8
    ats: bool = True
    pri: bool = True
    pasids: Annotated[int, Meta(ge=1, le=PASID_COUNT)] = PASID_COUNT


class MdevTable(Closed, frozen=True):
    """`[[machine.mdev]]`: a share of a device with a shared WQ; a VM has it like a device."""

    name: Word
    parent: Word


class MachineTable(Closed, frozen=True):
    """`[machine]`: what hardware there is."""

    unit: tuple[UnitTable, ...] = (UnitTable("dmar0"),)
    device: tuple[DeviceTable, ...] = (DeviceTable("dsa0", "dmar0"),)
    mdev: tuple[MdevTable, ...] = ()


class PoolTable(Closed, frozen=True):
    """`[pool]`: PASIDs 1 to `pasids`; each VM may have `quota` of them (0: pasids / VMs)."""

    pasids: Annotated[int, Meta(ge=PASID_MIN, le=PASID_COUNT - 1)] = 8
    quota: Count = 0


class GuestsTable(Closed, frozen=True):
    """`[guests]`: `count` VMs, vm1 to vmN, with the same groups and the same random mix."""

    count: Annotated[int, Meta(ge=0, le=256)] = 1
    groups: tuple[tuple[Word, ...], ...] = ()
    operations: Count = 0
    mix: dict[str, Count] = field(default_factory=dict)
    misbehave: tuple[Misbehaviour, ...] = ()


class ProcessesTable(Closed, frozen=True):
    """`[processes]`: `count` processes of the host, proc1 to procN, that use native SVA."""

    count: Annotated[int, Meta(ge=0, le=256)] = 0


class ProcessTable(Closed, frozen=True):
    """`[[process]]`: the script of one process, `vm1.guest` or `proc1`."""

    name: str
    steps: tuple[str, ...]


class NetworkTable(Closed, frozen=True):
    """`[network]`: delivery semantics of named links between software actors, for the simulator.

    `links` (`guest -> vfio`, `core <-> *`; an end is an actor, a kind or `*`) are at-least-once,
    at-most-once or any-order: the actors see it.  All others are reliable.  Each message of them
    comes again, or is lost, with `probability`.
    """

    semantics: Semantics = "reliable"
    delay_steps: tuple[Count, Count] = (0, 0)
    links: tuple[Annotated[str, Meta(min_length=1, max_length=160)], ...] = ()
    probability: Annotated[float, Meta(ge=0, le=1)] = 0.1


class NemesisTable(Closed, frozen=True):
    """`[[nemesis]]`: a fault, at what, how often.

    `target` is an actor's name, or `one`, `minority`, `majority` or `all` of a kind (`one kvm`; a
    bare kind means one); for `partition`, `delay`, `drop` and `duplicate` also `vfio -> iommu`,
    `vfio <-> iommu`, `core -> *`, `all guest -> vfio`, else all links to it, of a partition those
    from it, too.
    `times` bounds how often (0: as often as it comes).  `fail`: the `nth` passage of `site` fails,
    or each with `probability`, else the next one after `every_steps`; without a target, whoever
    passes it.  `delay`: a message waits `wait_steps`.  `drop`, `duplicate`: each message with
    `probability`, else every second one; what is dropped is sent again after `wait_steps`.
    `pause`: live, if it is `replaced`, it wakes beside somebody in its place, and is fenced.
    """

    fault: Fault
    target: str = ""
    every_steps: tuple[Positive, Positive] = (50, 200)
    every_seconds: tuple[Seconds, Seconds] = (2.0, 10.0)
    lasts_steps: tuple[Positive, Positive] = (10, 100)
    lasts_seconds: tuple[Seconds, Seconds] = (0.2, 1.0)
    site: str = ""
    nth: Count = 0
    probability: Annotated[float, Meta(ge=0, le=1)] = 0.0
    wait_steps: tuple[Positive, Positive] = (1, 20)
    wait_seconds: tuple[Seconds, Seconds] = (0.05, 0.5)
    times: Count = 0
    replaced: bool = False


class FinallyTable(Closed, frozen=True):
    """`[finally]`: after the faults; then every *eventually* must hold.

    They are over after `explore.max_steps`, or when nothing but a healing can happen any more.
    `heal`: what is healed then: all (true), nothing (false), or what a list names: faults
    (`crash`), whom they hit (`vdcm.dsa0`, `kvm`), or both (`pause vm1.kvm`).  The rest is frozen.
    """

    heal: bool | tuple[Annotated[str, Meta(min_length=1, max_length=160)], ...] = True
    quiet_steps: Positive = 100_000
    quiet_seconds: Seconds = 60.0


class ExpectTable(Closed, frozen=True):
    """`[expect]`: property names; an empty `always` or `eventually` means all of them.

    `violated`: what the defects break, the most telling first; without them nothing is.
    """

    always: tuple[str, ...] = ()
    eventually: tuple[str, ...] = ()
    sometimes: tuple[str, ...] = ()
    violated: tuple[str, ...] = ()


class ExploreTable(Closed, frozen=True):
    """`[explore]`: how schedules are searched; depth 0 is the strategy's own."""

    strategy: Strategy = "portfolio"
    depth: Annotated[int, Meta(ge=0, le=8)] = 0
    schedules: Positive = 1_000
    max_steps: Positive = 100_000


class LiveTable(Closed, frozen=True):
    """`[live]`: how actors are placed on Ray hosts, how long it goes on, how durable journals are.

    `rounds` repeats each guest's plan: a mix's operations are multiplied by it.  `journal` is the
    Redis server that has the journals while hosts run, for nodes that share no disk; "": files.
    User and password, if it wants any, are in the environment: PASIDLAB_REDIS_AUTH=user:password.
    """

    placement: Literal["each", "packed"] = "packed"
    durability: Literal["process", "power"] = "process"
    rounds: Positive = 1
    journal: Annotated[str, Meta(max_length=256, pattern=r"^$|^rediss?://[^@#\s]+$")] = ""


class Experiment(Closed, frozen=True):
    """One experiment, as resolved.

    `revision` is a published state of the protocol, `defects` are mistakes on top of it; both may
    be Python files, `mine.py`, that the command line names, too.
    """

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    source: str = ""
    stack: Literal["ioasid"] = "ioasid"
    revision: str = "sound"
    defects: tuple[str, ...] = ()
    machine: MachineTable = MachineTable()
    pool: PoolTable = PoolTable()
    guests: GuestsTable = GuestsTable()
    processes: ProcessesTable = ProcessesTable()
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


def load(path: Path, changes: tuple[str, ...] = ()) -> Experiment:
    """The experiment in a file, with `--set` changes (`network.delay_steps=[0,3]`) applied."""
    return read_experiment(read_toml(path, FILE_BYTES_MAX), str(path), changes)


def read_experiment(text: str, where: str, changes: tuple[str, ...] = ()) -> Experiment:
    """The experiment that `text` says; everything in it is checked, also what it refers to."""
    experiment = decode(text, where, Experiment, changes)
    check_played(experiment.lineup, f"{where}: $.revision", f"{where}: $.defects")
    for k, nemesis in enumerate(experiment.nemesis):
        if not nemesis.target and nemesis.fault != "fail":
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
    return Machine(
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
    plans |= dict.fromkeys(machine.processes, Plan())
    scripts: dict[Name, tuple[Step, ...]] = {}
    for k, process in enumerate(experiment.process):
        place = f"{where}: $.process[{k}]"
        if process.name not in plans:
            raise ExperimentError(
                f"{place}.name: '{process.name}' is not a process{nearest(process.name, plans)}"
                f" (processes: {', '.join(plans) or 'none, guests.count is 0'})"
            )
        if process.name in scripts:
            raise ExperimentError(f"{place}.name: '{process.name}' has a script already")
        read = read_process_step if process.name in machine.processes else read_step
        scripts[process.name] = tuple(
            read(step, process.name, machine, f"{place}.steps[{i}]")
            for i, step in enumerate(process.steps)
        )
    check_variables([one.name for one in experiment.process], scripts, where)
    for name, steps in scripts.items():
        if name in machine.processes:
            plans[name] = Plan(steps=steps, forked=is_forked(name, scripts))
        else:
            plans[name] = Plan(steps=steps, misbehave=guests.misbehave, tell=told(name, scripts))
    return plans


def kinds() -> tuple[str, ...]:
    """The kinds of actors a nemesis may name."""
    return (
        "core",
        "workqueue",
        "iommu",
        "vfio",
        "kvm",
        "vdcm",
        "guest",
        "unit",
        "device",
        "uacce",
        "process",
    )


def is_vm(name: Name, machine: Machine) -> bool:
    """Whether `name` belongs to one of the VMs."""
    return any(vm.name == vm_of(name) for vm in machine.vms)
