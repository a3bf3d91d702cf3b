"""The actors of a modern kernel: who plays which role, and who is in a machine (§8).

They are imported where they are asked for, so that no run of the other stack waits for them.
"""

from typing import Final

from actors.accelerators.idxd import Idxd
from actors.accelerators.uacce import SvaUacce
from actors.caller import Caller
from actors.device import Device
from actors.intel_iommu import IntelIommu
from actors.intel_iommu.amd import AmdIommu
from actors.intel_iommu.arm_smmu_v3 import ArmSmmuV3
from actors.iommu_core import IommuCore
from actors.iommu_core.rid import RidCore
from actors.iommu_unit import IommuUnit
from actors.iommufd import Iommufd
from actors.iopf import Iopf
from actors.process.sva_process import SvaProcess
from actors.sva import Sva
from actors.vfio_cdev import VfioCdev
from clusters.cluster import MODERN, ActorClass, Role
from protocol.machine import AMD, ARM, INTEL, Machine
from protocol.names import IOMMU, IOMMU_CORE, IOPF, SVA_CORE, VFIO, Name

CLASSES: Final[dict[Role, ActorClass]] = {
    "iommu_core": IommuCore,
    "sva": Sva,
    "iommufd": Iommufd,
    "intel_iommu": IntelIommu,
    "iopf": Iopf,
    "caller": Caller,
    "unit": IommuUnit,
    "device": Device,
    "sva_uacce": SvaUacce,
    "idxd": Idxd,
    "sva_process": SvaProcess,
    "amd_iommu": AmdIommu,
    "arm_smmu_v3": ArmSmmuV3,
    "rid_core": RidCore,
    "vfio_cdev": VfioCdev,
}
assert tuple(CLASSES) == MODERN
DRIVERS: Final[dict[str, Role]] = {"uacce": "sva_uacce", "idxd": "idxd"}
"""Who plays a driver whose devices have files."""

OF_UNITS: Final[dict[str, Role]] = {INTEL: "intel_iommu", AMD: "amd_iommu", ARM: "arm_smmu_v3"}
"""Who plays the driver of the units."""


def names(machine: Machine) -> dict[Name, Role]:
    """Every actor of the machine with its role, in the order in which they are started."""
    driver = machine.units[0].driver if machine.units else INTEL
    core = "rid_core" if driver == ARM else "iommu_core"
    roles: dict[Name, Role] = {IOMMU_CORE: core, SVA_CORE: "sva"}
    roles |= {unit.name: "unit" for unit in machine.units}
    roles |= {device.name: "device" for device in machine.devices if device.unit}
    roles[IOMMU] = OF_UNITS[driver]
    roles[IOPF] = "iopf"
    for device in machine.devices:
        if device.driver in DRIVERS:
            roles[machine.door_of(device.name)] = DRIVERS[device.driver]
    if machine.has_vfio:
        roles[VFIO] = "vfio_cdev"
    roles |= dict.fromkeys(machine.processes, "sva_process")
    roles |= dict.fromkeys(machine.contexts, "iommufd")
    roles |= dict.fromkeys(machine.callers, "caller")
    return roles
