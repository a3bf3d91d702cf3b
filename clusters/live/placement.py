"""Which host runs which actors.

`each`: every actor has a host of its own.  `packed`: the kernel's part (core, workqueue, driver,
VFIO) is one host, each VM one (guest and KVM), each device one (the device and its VDCM), and all
IOMMU units together one, named after the first.  Killing a host kills all that run on it.
"""

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

from protocol.errors import ExperimentError
from protocol.names import CORE, Name, vm_of

Placement: TypeAlias = dict[Name, Name]
"""Actor -> the host that runs it."""

PLACEMENTS: Final = ("packed", "each")
HOST_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
"""A host's name is its journal's file name, too."""

SOFTWARE: Final = ("core", "workqueue", "iommu", "vfio")


def place(roles: Mapping[Name, str], how: str) -> Placement:
    """The host of each actor, in the order in which actors are started."""
    if how not in PLACEMENTS:
        raise ExperimentError(
            f"placement '{how}' is not known (placements: {', '.join(PLACEMENTS)})"
        )
    units = [name for name, role in roles.items() if role == "unit"]
    placement = {
        name: _packed(name, role, units) if how == "packed" else name
        for name, role in roles.items()
    }
    for host in placement.values():
        if not HOST_NAME.fullmatch(host):
            raise ExperimentError(f"'{host}' cannot be the name of a host: it names a file")
    return placement


def _packed(name: Name, role: str, units: list[Name]) -> Name:
    if role in SOFTWARE:
        return CORE
    if role == "unit":
        return units[0]
    if role in {"guest", "kvm"}:
        return vm_of(name)
    return name.removeprefix("vdcm.").removeprefix("uacce.")


def hosts_of(placement: Placement) -> dict[Name, list[Name]]:
    """Each host with its actors."""
    hosts: dict[Name, list[Name]] = {}
    for actor, host in placement.items():
        hosts.setdefault(host, []).append(actor)
    return hosts
