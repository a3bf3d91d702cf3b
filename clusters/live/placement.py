"""Which host runs which actors.

`each`: every actor has a host of its own.  `packed`: the kernel's part (core, workqueue, driver,
VFIO; of a modern one the IOMMU core, SVA, driver, fault core and iommufd) is one host, each VM one
(guest and KVM), each device one (the device and its VDCM or driver), and all IOMMU units together
one, named after the first.  `kernel`: all that the host machine is, hardware
included, is one host, and each guest another: no lock is held over a call.  Where there are many,
those beside the kernel's part can share a given number of hosts.  Killing a host kills all that run
on it.
"""

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

from clusters.cluster import PLANNED
from protocol.errors import ExperimentError
from protocol.names import CORE, Name, vm_of

Placement: TypeAlias = dict[Name, Name]
"""Actor -> the host that runs it."""

PLACEMENTS: Final = ("packed", "each", "kernel")
HOST_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
"""A host's name is its journal's file name, too."""

SOFTWARE: Final = (
    "core", "workqueue", "iommu", "vfio",
    "iommu_core", "sva", "intel_iommu", "iopf", "iommufd", "vfio_cdev",
)  # fmt: skip
"""Roles that are the kernel's part, of either stack."""


def place(roles: Mapping[Name, str], how: str, hosts: int = 0) -> Placement:
    """The host of each actor, in the order in which actors are started.

    `hosts`: there are at most so many; 0: as many as there come to be.
    """
    if how not in PLACEMENTS:
        raise ExperimentError(
            f"placement '{how}' is not known (placements: {', '.join(PLACEMENTS)})"
        )
    units = [name for name, role in roles.items() if role == "unit"]
    placement = {name: _home(name, role, units, how) for name, role in roles.items()}
    if hosts:
        placement = _shared(placement, hosts)
    for host in placement.values():
        if not HOST_NAME.fullmatch(host):
            raise ExperimentError(f"'{host}' cannot be the name of a host: it names a file")
    return placement


def _shared(placement: Placement, hosts: int) -> Placement:
    """The first home is one host; the others share the rest in turns, named after their first."""
    first, *others = hosts_of(placement)
    homes = others[: hosts - 1] or [first]
    shared = {home: homes[k % len(homes)] for k, home in enumerate(others)} | {first: first}
    return {name: shared[home] for name, home in placement.items()}


def _home(name: Name, role: str, units: list[Name], how: str) -> Name:
    if how == "each" or role in PLANNED:
        return vm_of(name) if how == "packed" else name
    if role in SOFTWARE or how == "kernel":
        return CORE
    if role == "unit":
        return units[0]
    if role == "kvm":
        return vm_of(name)
    return name.removeprefix("vdcm.").removeprefix("uacce.").removeprefix("idxd.")


def hosts_of(placement: Placement) -> dict[Name, list[Name]]:
    """Each host with its actors."""
    hosts: dict[Name, list[Name]] = {}
    for actor, host in placement.items():
        hosts.setdefault(host, []).append(actor)
    return hosts
