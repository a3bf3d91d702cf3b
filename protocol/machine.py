"""The machine of an experiment: IOMMU units, devices, VMs, and the size of the PASID pool (§1.2).

Everything is a frozen value; an experiment file's `[machine]`, `[pool]` and `[guests]` become one
`Machine`, and the history's first record carries it, so that any property can be checked later.
"""

from typing import Final

from msgspec import Struct

from protocol.domains import Domain, Group
from protocol.names import PASID_COUNT, Name, idxd_of, iommufd_of, uacce_of

IOASID: Final = "ioasid"
"""The actors of 2020 and 2021: IOASIDs, VFIO, KVM, the VDCM."""
IOMMUFD: Final = "iommufd"
"""The modern ones: IOMMU core, SVA, iommufd (§8)."""
STACKS: Final = (IOASID, IOMMUFD)
VFIO_PCI: Final = "vfio"
"""Driver of a device that is a user's, with its PASIDs: vfio-pci."""
VFIO_DRIVERS: Final = (VFIO_PCI, "vfio-platform")
"""Drivers behind VFIO's device files; the other attaches no PASIDs."""


INTEL: Final = "intel"
AMD: Final = "amd"
ARM: Final = "arm-smmu-v3"
DRIVERS: Final = (INTEL, AMD, ARM)
"""Whose driver a unit has: VT-d's, AMD's, or SMMUv3's."""
LACKS: Final = {
    "pasids": "no PASID in what it translates (ECAP.PASID)",
    "first-level": "no first level (ECAP.FLTS)",
    "second-level": "no second level (ECAP.SLTS)",
    "5-level": "no first level of five levels (CAP.FL5LP)",
    "sre": "no supervisor requests (ECAP.SRS)",
    "eafe": "no extended accessed flags (ECAP.EAFS)",
    "svm": "its paging is not that of the CPU (VTD_FLAG_SVM_CAPABLE is not set)",
    "sva-domains": "its driver has no domain_alloc_sva",
    "blocking-pasids": "its driver's blocking domain cannot be set on a PASID",
    "dirty-tracking": "it does not say which pages were written (ECAP.SSADS)",
}
"""What a unit, or the driver of one, may be without."""
QUIRKS: Final = {
    "pasid-off": "the PASID capability is there and was not enabled",
    "no-tlp-prefix": "no path for end-to-end TLP prefixes, so PASID cannot be enabled",
    "pasid-no-tlp": "its PASIDs need no TLP prefix",
    "no-acs": "no ACS Request Redirect and Upstream Forwarding on the way up, so no PASID",
    "no-exec": "no execute permission in its PASID capability",
    "pri-off": "PRI is supported and could not be enabled",
    "copied-context": "its context entry is still the crashed kernel's (kdump)",
    "real-dma-subdevice": "it uses the context of another device (VMD)",
    "msi-not-isolated": "what it writes may be an interrupt of others",
}
"""What may be wrong with a device."""


class Unit(Struct, frozen=True):
    """One DMA remapping unit.  `prq` is the number of page requests its ring can hold (N - 1).

    `pds`: it supports page-request drain; without that nobody can be drained, and PRI stays off.
    Of the modern stack, `lacks`: what it or its driver cannot do, of LACKS; `driver`: of DRIVERS,
    one for all units of a machine.
    """

    name: Name
    prq: int = 4
    pds: bool = True
    lacks: tuple[str, ...] = ()
    driver: str = INTEL


class Device(Struct, frozen=True):
    """One device behind one unit.

    `pasids` is the number of PASIDs it supports; a guest bind wants exactly 2**20.  `wq` is the
    mode of its work queues: `shared` (ENQCMD, PASID from KVM's table) or `dedicated` (PASID from
    the WQ's configuration).  `wq_size` bounds the descriptors a work queue holds.  `driver`: of the
    modern stack, whose it is: `uacce`, `idxd`, `vfio` (vfio-pci), `vfio-platform`, or nobody's.
    `system_pasid`: idxd has a PASID of the kernel's own there.  `quirks`: of the modern stack, what
    is wrong with it, of QUIRKS; `pf`: whose virtual function it is.
    """

    name: Name
    unit: Name
    pasids: int = PASID_COUNT
    ats: bool = True
    pri: bool = True
    wq: str = "shared"
    wq_size: int = 8
    driver: str = ""
    system_pasid: bool = False
    quirks: tuple[str, ...] = ()
    pf: Name = ""


class Mdev(Struct, frozen=True):
    """A mediated device: a share of `parent`, with a second level of its own (an aux domain).

    It is a device of a VM by name only: table, TLB and work queue are its parent's, so the parent's
    PASID table has one entry for each PASID, whichever mdev it was bound through (seed 000).
    """

    name: Name
    parent: Name


class Vm(Struct, frozen=True):
    """One VM.  Each group of devices is one VFIO container; binds go to all devices of a group."""

    name: Name
    groups: tuple[tuple[Name, ...], ...]

    @property
    def devices(self) -> tuple[Name, ...]:
        """All devices of all groups, in order."""
        return tuple(device for group in self.groups for device in group)


class Machine(Struct, frozen=True):
    """`pasids`: the core's capacity, numbers 1 to `pasids`.  `quota`: of each VM's IOASID set.

    `processes` are those of the host itself, which use the devices by native SVA.  `groups` are
    those of more than one device, or with a name of its own: any other device is its own group.
    `domains` are there from the start.  `stack`: which kernel's actors there are, one of STACKS.
    `callers` are scripted threads inside a modern kernel.  `without`: `sva`, a modern kernel whose
    CONFIG_IOMMU_SVA is off.
    """

    units: tuple[Unit, ...]
    devices: tuple[Device, ...]
    vms: tuple[Vm, ...]
    pasids: int = 8
    quota: int = 8
    mdevs: tuple[Mdev, ...] = ()
    processes: tuple[Name, ...] = ()
    groups: tuple[Group, ...] = ()
    domains: tuple[Domain, ...] = ()
    stack: str = IOASID
    callers: tuple[Name, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def host_quota(self) -> int:
        """What the VMs leave to the host's own set, for the PASIDs of processes."""
        return self.pasids - self.quota * len(self.vms)

    def unit_of(self, device: Name) -> Name:
        """The unit that the device is behind."""
        return self.device(device).unit

    def has_pri(self, device: Device) -> bool:
        """Whether PRI is on: the device has it, and its unit can drain what it asks for (S49).

        A virtual function has that of its device.
        """
        if device.pf:
            return self.has_pri(self.device(device.pf))
        if "pri-off" in device.quirks:
            return False
        return device.pri and any(u.pds for u in self.units if u.name == device.unit)

    def has_pasid(self, device: Device) -> bool:
        """Whether PASID is on from the start: whoever probes enables what can be enabled.

        A virtual function has that of its device.
        """
        if device.pf:
            return self.has_pasid(self.device(device.pf))
        prefix = "no-tlp-prefix" not in device.quirks or "pasid-no-tlp" in device.quirks
        off = any(one in device.quirks for one in ("pasid-off", "no-acs"))
        return device.pasids > 0 and prefix and not off

    def device(self, name: Name) -> Device:
        """The device of that name; of an mdev, its parent."""
        hardware = self.parents.get(name, name)
        return next(d for d in self.devices if d.name == hardware)

    def group_of(self, device: Name) -> Name:
        """The group of a modern kernel that the device is in, its own if it is in none."""
        return next((one.name for one in self.groups if device in one.devices), device)

    @property
    def has_vfio(self) -> bool:
        """Whether a modern kernel has device files of VFIO."""
        return any(one.driver in VFIO_DRIVERS for one in self.devices)

    @property
    def contexts(self) -> tuple[Name, ...]:
        """The iommufd contexts of a modern kernel: one for each caller."""
        return tuple(iommufd_of(caller) for caller in self.callers)

    def door_of(self, device: Name) -> Name:
        """The driver behind which the device's files are."""
        idxd = any(one.name == device and one.driver == "idxd" for one in self.devices)
        return idxd_of(device) if idxd else uacce_of(device)

    def vm(self, name: Name) -> Vm:
        """The VM of that name."""
        return next(vm for vm in self.vms if vm.name == name)

    @property
    def parents(self) -> dict[Name, Name]:
        """The device behind each mdev."""
        return {mdev.name: mdev.parent for mdev in self.mdevs}

    def hardware_of(self, vm: Name) -> tuple[Name, ...]:
        """The devices behind all that the VM has in its groups, each once, in order."""
        parents = self.parents
        return tuple(dict.fromkeys(parents.get(one, one) for one in self.vm(vm).devices))

    def vms_on(self, device: Name) -> tuple[Name, ...]:
        """The VMs that have the device, or an mdev of it, in a group."""
        return tuple(vm.name for vm in self.vms if device in self.hardware_of(vm.name))
