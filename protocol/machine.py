"""The machine of an experiment: IOMMU units, devices, VMs, and the size of the PASID pool (§1.2).

Everything is a frozen value; an experiment file's `[machine]`, `[pool]` and `[guests]` become one
`Machine`, and the history's first record carries it, so that any property can be checked later.
"""

from msgspec import Struct

from protocol.names import PASID_COUNT, Name


class Unit(Struct, frozen=True):
    """One DMA remapping unit.  `prq` is the number of page requests its ring can hold (N - 1)."""

    name: Name
    prq: int = 4


class Device(Struct, frozen=True):
    """One device behind one unit.

    `pasids` is the number of PASIDs it supports; a guest bind wants exactly 2**20.  `wq` is the
    mode of its work queues: `shared` (ENQCMD, PASID from KVM's table) or `dedicated` (PASID from
    the WQ's configuration).  `wq_size` bounds the descriptors a work queue holds.
    """

    name: Name
    unit: Name
    pasids: int = PASID_COUNT
    ats: bool = True
    pri: bool = True
    wq: str = "shared"
    wq_size: int = 8


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

    `processes` are those of the host itself, which use the devices by native SVA.
    """

    units: tuple[Unit, ...]
    devices: tuple[Device, ...]
    vms: tuple[Vm, ...]
    pasids: int = 8
    quota: int = 8
    processes: tuple[Name, ...] = ()

    @property
    def host_quota(self) -> int:
        """What the VMs leave to the host's own set, for the PASIDs of processes."""
        return self.pasids - self.quota * len(self.vms)

    def unit_of(self, device: Name) -> Name:
        """The unit that the device is behind."""
        return next(d.unit for d in self.devices if d.name == device)

    def device(self, name: Name) -> Device:
        """The device of that name."""
        return next(d for d in self.devices if d.name == name)

    def vm(self, name: Name) -> Vm:
        """The VM of that name."""
        return next(vm for vm in self.vms if vm.name == name)

    def vms_on(self, device: Name) -> tuple[Name, ...]:
        """The VMs that have the device in a group."""
        return tuple(vm.name for vm in self.vms if device in vm.devices)
