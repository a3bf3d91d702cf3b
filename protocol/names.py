"""Who is who: actor names, PASID numbers and the ghost that tells two lives of one number apart.

A name is a short string: one of the constants below, a device or IOMMU unit of the machine
(`dsa0`, `dmar0`), or a kind and an owner (`vm1.guest`, `vm1.kvm`, `vdcm.dsa0`).
"""

from typing import Final, TypeAlias

Name: TypeAlias = str
Pasid: TypeAlias = int
"""A host PASID: the number on the wire, 1 to 2**20 - 1; 0 is RID2PASID (§1.1)."""
Gpasid: TypeAlias = int
"""A guest's number for a PASID: the set-private ID (SPID) of the IOASID set of its VM."""
Incarnation: TypeAlias = int
"""Ghost: which life of a PASID number.  Handlers copy it and never branch on it (§1.4)."""
Call: TypeAlias = int
"""Names one request of its sender; the answer echoes it."""

CORE: Final[Name] = "core"
WORKQUEUE: Final[Name] = "workqueue"
IOMMU: Final[Name] = "iommu"
IOMMU_CORE: Final[Name] = "iommu_core"
SVA_CORE: Final[Name] = "sva"
IOPF: Final[Name] = "iopf"
"""The fault core of the modern stack: io-pgfault.c."""
VFIO: Final[Name] = "vfio"
VMM: Final[Name] = CORE
"""The VMM of a modern machine's guests: it is where KVM and the VDCM look for the IOASID core."""
SUPERVISOR: Final[Name] = "supervisor"
"""Not an actor: the world itself, when it starts actors, fires timers and announces losses."""
KERNEL: Final[Name] = "kernel"
"""A caller inside the kernel: a scripted process that calls the core directly."""

PASID_MIN: Final[Pasid] = 1
PASID_COUNT: Final = 1 << 20
INVALID_PASID: Final = 0xFFFFFFFF
"""INVALID_IOASID, also the SPID of a PASID that has none."""
NO_SET: Final = 0
"""Stands for the NULL set: no ownership check by set."""
NO_DATA: Final = 0
"""A NULL private pointer."""


def guest_of(vm: Name) -> Name:
    """QEMU, guest kernel and guest process of a VM, as one actor."""
    return f"{vm}.guest"


def kvm_of(vm: Name) -> Name:
    """The KVM instance of a VM."""
    return f"{vm}.kvm"


def vdcm_of(device: Name) -> Name:
    """The virtual device composition module of a device."""
    return f"vdcm.{device}"


def uacce_of(device: Name) -> Name:
    """The driver behind the character device of an accelerator."""
    return f"uacce.{device}"


def idxd_of(device: Name) -> Name:
    """The driver of a DSA-like device in a modern kernel."""
    return f"idxd.{device}"


def process_of(mm: Name) -> Name:
    """Whose mm it is: `proc1` of `proc1` and, after an exec, of `proc1.mm2`."""
    return mm.partition(".")[0]


def iommufd_of(owner: Name) -> Name:
    """The iommufd context that a process, a VM or a caller has opened."""
    return f"{owner}.iommufd"


def vm_of(name: Name) -> Name:
    """The VM (mm token) that `vm1.guest` or `vm1.kvm` belongs to.

    Other names stand for themselves.
    """
    return name.partition(".")[0]
