"""An experiment of guests of 2020, read for a kernel of today: its machine, and whom faults hit.

Who an experiment names may be gone; then it means whoever has their part now (docs/modern-stack.md,
"Guests, across two decades").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import structs

from clusters.links import ARROW, BOTH, is_link, split
from protocol.errors import ExperimentError
from protocol.machine import IOMMUFD, Machine
from protocol.names import CORE, IOMMU, PASID_COUNT, VFIO, VMM, guest_of

if TYPE_CHECKING:
    from clusters.nemesis import Nemesis
    from experiments.harness.config import Experiment

DRIVER: Final = "intel_iommu"
TODAY: Final = {CORE: "vmm", IOMMU: DRIVER, VFIO: "iommufd"}
"""Whose part who has: VFIO's towards the kernel has iommufd, towards a guest the VMM."""
SITES: Final = {
    "core.alloc.nospc": ("iommu_core.alloc_global.number", "iommu_core"),
    "iommu.bind.svm": ("intel_iommu.domain_alloc", DRIVER),
    "iommu.bind.sdev": ("intel_iommu.set_dev_pasid", DRIVER),
}
"""The same step, and who fails there; what is not here has no like."""
BY_OPEN: Final = (
    "there a process binds by open(), and cannot unbind (experiments/iommufd/s15_*, s16_*, s24_*)"
)


def with_guests(machine: Machine, experiment: Experiment, where: str) -> Machine:
    """The machine of an experiment of guests, with the kernel of today; there is no pool there.

    What only the older one has is refused: the experiment would not be the same.
    """
    revision = experiment.revision
    for key, given, why in (
        ("machine.mdev", machine.mdevs, "it has no aux domains, and nobody attaches twice"),
        ("processes.count", machine.processes, BY_OPEN),
        ("guests.count", not machine.vms, "only guests can be played on it"),
        ("nemesis", resets(experiment), "nobody asks iommufd's user for what was reset"),
    ):
        if given:
            raise ExperimentError(f"{where}: $.{key}: cannot be played with '{revision}': {why}")
    return structs.replace(machine, stack=IOMMUFD, pasids=PASID_COUNT - 1, quota=PASID_COUNT - 1)


def resets(experiment: Experiment) -> bool:
    """Whether devices are reset by themselves: what is with a user of iommufd then stays there."""
    return any(one.fault == "reset" for one in experiment.nemesis)


def of_today(nemesis: Nemesis, machine: Machine) -> Nemesis:
    """The same fault where those that it names are others."""
    if nemesis.site in SITES:
        site, role = SITES[nemesis.site]
        return structs.replace(nemesis, site=site, target=role if nemesis.target else "")
    return structs.replace(nemesis, target=target_of_today(nemesis.target, machine))


def target_of_today(target: str, machine: Machine) -> str:
    """A target, or both ends of a link."""
    if not is_link(target):
        return _named(target)
    ends = split(target)
    guests = ["guest", *(guest_of(vm.name) for vm in machine.vms)]
    beside = any(end.rpartition(" ")[2] in guests for end in ends)
    said = [VMM if beside and end == VFIO else _named(end) for end in ends]
    return (BOTH if BOTH in target else ARROW).join(said)


def _named(end: str) -> str:
    """`one core` is `one vmm`."""
    mode, space, role = end.rpartition(" ")
    return f"{mode}{space}{TODAY.get(role, role)}"
