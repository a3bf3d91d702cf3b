"""The small experiments on which planted defects are found, each with the schedules it takes.

Steps expect nothing, unless an outcome is what a defect is about: whatever a guest is answered, the
other properties hold.
"""

from dataclasses import dataclass
from typing import Final

from clusters.nemesis import Nemesis
from clusters.sim.world import Setup
from tests.worlds import with_faults, world_of

SCHEDULES: Final = 60


@dataclass(frozen=True)
class Stage:
    """An experiment, what goes wrong in it, and how many schedules of it are run."""

    text: str
    schedules: int = SCHEDULES
    faults: tuple[Nemesis, ...] = ()

    def setup(self) -> Setup:
        """What the simulator runs, with every property that is no witness."""
        return with_faults(world_of(self.text), *self.faults)


def stage(
    *scripts: tuple[str, ...],
    devices: str = "dsa0",
    quota: int = 2,
    schedules: int = SCHEDULES,
    faults: tuple[Nemesis, ...] = (),
) -> Stage:
    """VMs with these scripts.

    `devices` are all in one group; each is `name[@unit[:requests]][+property]...`, as in
    `dsa1@dmar1:2+no-pri`, where the unit's ring has room for two page requests.
    """
    tables = [f'title = "{"; ".join(scripts[0])}"', f"[pool]\nquota = {quota}"]
    said = [_device(one) for one in devices.split()]
    units = dict.fromkeys(unit for _, unit, _ in said)
    tables += [_unit(one) for one in units]
    tables += [
        f'[[machine.device]]\nname = "{n}"\nunit = "{u.partition(":")[0]}"\n{more}'
        for n, u, more in said
    ]
    group = [name for name, _, _ in said]
    tables.append(f"[guests]\ncount = {len(scripts)}\ngroups = [{group}]")
    for number, steps in enumerate(scripts, start=1):
        tables.append(f'[[process]]\nname = "vm{number}.guest"\nsteps = {list(steps)}')
    return Stage("\n".join(tables), schedules, faults)


def processes(*scripts: tuple[str, ...], schedules: int = SCHEDULES) -> Stage:
    """Processes of the host with these scripts, on one device with a shared WQ."""
    tables = [f'title = "{"; ".join(scripts[0])}"', "[pool]\npasids = 3", "[guests]\ncount = 0"]
    tables.append('[[machine.device]]\nname = "dsa0"\nunit = "dmar0"')
    tables.append(f"[processes]\ncount = {len(scripts)}")
    for number, steps in enumerate(scripts, start=1):
        tables.append(f'[[process]]\nname = "proc{number}"\nsteps = {list(steps)}')
    return Stage("\n".join(tables), schedules)


KEYS: Final = {
    "dedicated": 'wq = "dedicated"',
    "no-ats": "ats = false",
    "no-pri": "pri = false",
}


def _device(text: str) -> tuple[str, str, str]:
    place, *words = text.split("+")
    name, _, unit = place.partition("@")
    return name, unit or "dmar0", "\n".join(KEYS[word] for word in words)


def _unit(text: str) -> str:
    name, _, room = text.partition(":")
    return f'[[machine.unit]]\nname = "{name}"' + (f"\nprq = {room}" if room else "")


def slow(link: str, wait_steps: tuple[int, int] = (50, 100)) -> Nemesis:
    """Messages of this link wait longer than all the others, from the beginning to the end."""
    return Nemesis(
        "delay", link, every_steps=(1, 1), lasts_steps=(2000, 2000), wait_steps=wait_steps, times=1
    )


# --- The VMs' scripts -----------------------------------------------------------------------------

LIFE: Final = ("p = alloc", "bind p dsa0", "dma p dsa0", "unbind p dsa0", "free p")
FREED_BOUND: Final = ("p = alloc", "bind p dsa0", "free p")

PLAIN: Final = stage(LIFE)
NO_PRI: Final = stage(LIFE, devices="dsa0+no-pri")
FREED: Final = stage(FREED_BOUND)
BOUND: Final = stage(("p = alloc", "bind p dsa0", "exit"))
UNBOUND: Final = stage(("p = alloc", "bind p dsa0", "unbind p dsa0"))
LATE: Final = stage((*FREED_BOUND, "unbind p dsa0 -> ok"))
UNBOUND_WITH_DMA: Final = stage(
    ("p = alloc", "bind p dsa0", "async dma p dsa0 x4", "unbind p dsa0", "free p")
)
WITHOUT_ATS: Final = stage(
    ("p = alloc", "bind p dsa0", "async dma p dsa0 x8", "unbind p dsa0", "free p"),
    devices="dsa0+no-ats+no-pri",
)
WITHOUT_PRI: Final = stage(
    (
        *("p = alloc", "bind p dsa0", "dma p dsa0 x4"),
        *("async dma p dsa0 x4", "async dma p dsa0 x4", "unbind p dsa0", "free p"),
    ),
    devices="dsa0+no-pri",
    schedules=150,
)
SLOW_HARDWARE: Final = stage(
    ("p = alloc", "bind p dsa0", "async dma p dsa0 x8", "unbind p dsa0", "free p"),
    devices="dsa0+no-pri",
    faults=(slow("dmar0 -> dsa0"),),
)
FREED_WITH_FAULTS: Final = stage(
    ("p = alloc", "bind p dsa0", "async fault p dsa0 x4", "dma p dsa0 x2", "free p"),
    schedules=200,
)
FREED_WITH_DMA: Final = stage(
    ("p = alloc", "bind p dsa0", "async dma p dsa0 x8", "free p"),
    devices="dsa0+no-pri",
    faults=(slow("dmar0 -> dsa0"),),
)
OVERFLOW: Final = stage(
    ("p = alloc", "bind p dsa0", "dma p dsa0", "unbind p dsa0"),
    ("p = alloc", "bind p dsa0", "fault p dsa0 x4", "fault p dsa0 x4", "fault p dsa0 x4"),
    devices="dsa0@dmar0:1",
)
RESET_WITH_FAULT: Final = stage(
    ("p = alloc", "bind p dsa0", "enable dsa0", "async fault p dsa0", "reset dsa0"),
    devices="dsa0+dedicated",
)
SLOW_COMMAND: Final = stage(
    ("p = alloc", "bind p dsa0", "enable dsa0", "disable dsa0", "async dma p dsa0", "free p"),
    faults=(slow("vm1.kvm -> dsa0"),),
)
IMS: Final = stage(
    ("p = alloc", "bind p dsa0", "ims p dsa0", "unims dsa0", "unbind p dsa0", "free p")
)
IMS_FREED: Final = stage(("p = alloc", "bind p dsa0", "ims p dsa0", "free p"))
IMS_AND_REUSE: Final = stage(
    (
        *("p = alloc", "bind p dsa0", "ims p dsa0", "unims dsa0", "unbind p dsa0", "free p"),
        *("q = alloc", "bind q dsa0", "dma q dsa0"),
    )
)
IMS_WHILE_FREED: Final = stage(
    ("p = alloc", "bind p dsa0", "async ims p dsa0", "free p", "unims dsa0"),
    devices="dsa0+dedicated",
)
IMS_OF_TWO: Final = stage(
    ("p = alloc", "bind p dsa0", "ims p dsa0", "unims dsa0", "unbind p dsa0", "free p"),
    ("p = alloc", "bind p dsa0", "ims p dsa0", "unims dsa0", "unbind p dsa0", "free p"),
    devices="dsa0+dedicated",
)
FAULTS_OF_TWO: Final = stage(
    ("p = alloc", "q = alloc", "bind p dsa0", "bind q dsa0", "fault p dsa0", "fault q dsa0")
)
DMA_OF_TWO: Final = stage(
    ("p = alloc", "q = alloc", "bind p dsa0", "bind q dsa0", "async dma q dsa0 x8", "free p"),
)
SAME_SPID: Final = stage(
    ("p = alloc", "bind p dsa0", "free p", "q = alloc", "bind q dsa0", "unbind q dsa0", "free q"),
    devices="dsa0+dedicated",
)
THREE_OF_TWO: Final = stage(("p = alloc", "q = alloc", "r = alloc"))
EXIT: Final = stage(("p = alloc", "bind p dsa0", "async dma p dsa0", "free p", "exit"))
ANOTHERS: Final = stage(LIFE, ("unbind vm1.guest.p dsa0",))
WITH_M1: Final = ("p = alloc", "bind p m0", "bind p m1", "dma p m1", "unbind p m0", "free p")
TWO_MDEVS: Final = Stage(
    stage(WITH_M1).text.replace("['dsa0']", "['m0'], ['m1']")
    + '\n[[machine.mdev]]\nname = "m0"\nparent = "dsa0"'
    + '\n[[machine.mdev]]\nname = "m1"\nparent = "dsa0"'
)
BOUND_TWICE: Final = stage(
    ("p = alloc", "bind p dsa0", "bind p dsa0", "unbind p dsa0", "free p"), devices="dsa0 dsa1"
)
TWO_UNITS: Final = stage(LIFE, devices="dsa0@dmar0 dsa1@dmar1")
FAILED_ALLOC: Final = stage(
    ("p = alloc", "free p", "q = alloc", "free q"),
    faults=(Nemesis("fail", "core", site="core.alloc.nospc", nth=1),),
)
RESET: Final = stage(
    ("p = alloc", "bind p dsa0", "async fault p dsa0 x4", "async fault p dsa0 x4"),
    faults=(Nemesis("reset", "dsa0", every_steps=(20, 150)),),
)
RESET_AND_ON: Final = stage(
    ("p = alloc", "bind p dsa0", *("fault p dsa0 x2",) * 9),
    faults=(
        Nemesis("reset", "dsa0", every_steps=(30, 90)),
        slow("iommu -> dmar0", wait_steps=(2, 8)),
    ),
)
# Lost between BIND and FREE: it has its right to submit, and no work of it is under way yet (R9).
LOST_VDCM: Final = stage(
    ("p = alloc", "bind p dsa0", "dma p dsa0 x16", "free p"),
    faults=(Nemesis("lose", "vdcm.dsa0", every_steps=(60, 90), times=1),),
)
# KVM loses its memory anywhere; and when QEMU has ended, or is about to.
FORGOTTEN: Final = stage(
    FREED_BOUND, faults=(Nemesis("amnesia", "vm1.kvm", every_steps=(30, 70), times=1),)
)
FORGOTTEN_AT_EXIT: Final = stage(
    ("exit",), faults=(Nemesis("amnesia", "vm1.kvm", every_steps=(20, 40), times=1),)
)
# Processes of the host.
USED_TWICE: Final = processes(("open dsa0", "bind dsa0", "unbind dsa0", "bind dsa0"))
CLOSED: Final = processes(("open dsa0", "bind dsa0", "dma dsa0", "close dsa0", "exit"))
EXITED_OPEN: Final = processes(("open dsa0", "bind dsa0", "async dma dsa0 x2", "exit"))
