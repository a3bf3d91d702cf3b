"""The tables of an experiment file, typed, each key with its default (ux: the experiment file)."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from protocol.names import PASID_COUNT, PASID_MIN

Word = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Positive = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Seconds = Annotated[float, Meta(ge=0, le=366 * 86_400)]
Fault = Literal[
    "crash", "amnesia", "lose", "pause", "partition", "delay", "duplicate", "drop", "fail",
    "remove", "reset", "raylet-kill", "node-pause", "node-off", "node-cut", "gcs-kill", "head-off",
]  # fmt: skip
Misbehaviour = Literal[
    "free-before-unbind", "unbind-with-dma", "double-free", "late-unbind", "no-response",
    "foreign-pasid",
]  # fmt: skip
Strategy = Literal[
    "portfolio", "random", "pct", "pos", "coverage", "delay-bounded", "fail-nth", "fail-random",
    "breadth-first", "depth-first",
]  # fmt: skip
Lack = Literal[
    "pasids", "first-level", "second-level", "5-level", "sre", "eafe", "svm", "sva-domains",
    "blocking-pasids", "dirty-tracking",
]  # fmt: skip
Quirk = Literal[
    "pasid-off", "no-tlp-prefix", "pasid-no-tlp", "no-acs", "no-exec", "pri-off", "copied-context",
    "real-dma-subdevice", "msi-not-isolated",
]  # fmt: skip
DEEP: Final = ("pct", "delay-bounded", "fail-nth", "breadth-first")
"""Strategies with a depth."""
DomainKind = Literal["UNMANAGED", "NESTED", "SVA", "BLOCKED", "DMA", "IDENTITY"]
Semantics = Literal["reliable", "at-least-once", "at-most-once", "any-order"]


class Closed(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file: a key that is not named here is refused."""


class UnitTable(Closed, frozen=True):
    """`[[machine.unit]]`: an IOMMU unit; `prq` page requests fit into its ring.

    Without `pds` (page-request drain support) PRI stays off on the devices behind it.  Of a
    modern stack, `lacks`: what it or its driver cannot do; `driver`: the same one for all units.
    """

    name: Word
    prq: Annotated[int, Meta(ge=1, le=2048)] = 4
    pds: bool = True
    lacks: tuple[Lack, ...] = ()
    driver: Literal["intel", "amd", "arm-smmu-v3"] = "intel"


class DeviceTable(Closed, frozen=True):
    """`[[machine.device]]`: a device behind a unit; of a modern stack also behind none (`""`).

    `pasids` is how many PASIDs it has, with 0 among them (max_pasids).  `driver`: whose it is.
    `system_pasid`: idxd uses it with a PASID of the kernel's own, too.  `quirks`: of a modern
    stack, what is wrong with it; `pf`: the device that it is a virtual function of.
    """

    name: Word
    unit: Annotated[str, Meta(max_length=64)]
    wq: Literal["shared", "dedicated"] = "shared"
    wq_size: Annotated[int, Meta(ge=1, le=1024)] = 8
    ats: bool = True
    pri: bool = True
    pasids: Annotated[int, Meta(ge=0, le=PASID_COUNT)] = PASID_COUNT
    driver: Literal["", "uacce", "idxd", "vfio", "vfio-platform"] = ""
    system_pasid: bool = False
    quirks: tuple[Quirk, ...] = ()
    pf: Annotated[str, Meta(max_length=64)] = ""


class GroupTable(Closed, frozen=True):
    """`[[machine.group]]`: devices that the IOMMU cannot tell apart, in the order of asking.

    One that is not `finalised` has no default domain yet: drivers are probed later.
    """

    name: Word
    devices: Annotated[tuple[Word, ...], Meta(min_length=1)]
    finalised: bool = True


class DomainTable(Closed, frozen=True):
    """`[[machine.domain]]`: one that is there from the start, of the driver of `unit`.

    Without `pasid` it cannot be set on a PASID.  `stage`: 2 is one of SMMUv3 for a VM.
    """

    name: Word
    unit: str = ""
    kind: DomainKind = "UNMANAGED"
    pasid: bool = True
    stage: Literal[1, 2] = 1


class MdevTable(Closed, frozen=True):
    """`[[machine.mdev]]`: a share of a device with a shared WQ; a VM has it like a device."""

    name: Word
    parent: Word


class MachineTable(Closed, frozen=True):
    """`[machine]`: what hardware there is; `without`: what a modern kernel was built without."""

    unit: tuple[UnitTable, ...] = (UnitTable("dmar0"),)
    device: tuple[DeviceTable, ...] = (DeviceTable("dsa0", "dmar0"),)
    mdev: tuple[MdevTable, ...] = ()
    group: tuple[GroupTable, ...] = ()
    domain: tuple[DomainTable, ...] = ()
    without: tuple[Literal["sva"], ...] = ()


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


class CallersTable(Closed, frozen=True):
    """`[callers]`: `count` threads inside a modern kernel, caller1 to callerN, with scripts."""

    count: Annotated[int, Meta(ge=0, le=256)] = 0


class ProcessTable(Closed, frozen=True):
    """`[[process]]`: the script of one process, `vm1.guest`, `proc1` or `caller1`.

    That of `vm*.guest` is the script of every guest that has none of its own.
    """

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

    `hosts`: at most so many (0: as many as the placement makes).  `disk_mb`: the run ends when its
    folder has them.  Without `history` none is written; the journals have it all.
    `guests`: so many VMs instead of `guests.count`, if it is not 0.  `rounds` repeats each guest's
    plan: a mix's operations are multiplied by it, and the variables of a step of many.  The
    simulator heeds neither.  `journal` is the Redis server that has the journals while hosts run,
    for nodes that share no disk; "": files.  User and password, if it wants any, are in the
    environment: PASIDLAB_REDIS_AUTH=user:password.
    """

    placement: Literal["each", "packed", "kernel"] = "packed"
    durability: Literal["process", "power"] = "process"
    hosts: Annotated[int, Meta(ge=0, le=1024)] = 0
    guests: Annotated[int, Meta(ge=0, le=256)] = 0
    rounds: Positive = 1
    disk_mb: Positive = 20_000
    history: bool = True
    journal: Annotated[str, Meta(max_length=256, pattern=r"^$|^rediss?://[^@#\s]+$")] = ""
