"""What hardware cannot do is refused before anything is changed.

Here levels are looked at first of all.  In the kernel that is where the entry is set up, before it
looks whether one is present (EINVAL before EBUSY), and what it was to replace has gone by then
(c3b1edea3791).

Kernel: intel_iommu_sva_supported in svm.c; intel_iommu_set_dev_pasid, intel_nested_set_dev_pasid,
intel_iommu_domain_alloc_paging_flags; intel_pasid_setup_first_level, _second_level and _nested in
pasid.c of Linux 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.intel_iommu.state import DomainState
from protocol.domains import NESTED, NULL, SVA, made_domain
from protocol.effects import Out
from protocol.errors import Errno
from protocol.machine import Device
from protocol.messages.iommufd import (
    ACCESSED,
    BAD_WIDTH,
    FIVE_LEVELS,
    OTHER_TYPE,
    SHORT,
    SUPERVISOR_REQUESTS,
    AllocDomain,
    AllocNestedDomain,
)
from protocol.messages.probing import HwInfo, HwInfoGot
from protocol.names import Name

if TYPE_CHECKING:
    from actors.intel_iommu import IntelIommu


def is_without(driver: IntelIommu, name: Name, word: str) -> bool:
    """Whether that unit lacks it, or that device has the quirk."""
    return word in driver.lacks.get(name, ())


def sva_refusal(driver: IntelIommu, device: Device) -> Errno | None:
    """ENODEV the unit cannot walk the CPU's tables; EINVAL PASIDs, ATS or the PRI that it has off.

    A device that has no PRI may have ways of its own.
    """
    if driver.is_without(device.unit, "svm"):
        return Errno.ENODEV
    off = any(driver.is_without(device.name, one) for one in ("pasid-off", "pri-off"))
    return Errno.EINVAL if off or not device.ats else None


def set_refusal(driver: IntelIommu, device: Device, domain: DomainState) -> Errno | None:
    """EOPNOTSUPP there are no PASIDs to be had; EBUSY the context entry is not ours yet."""
    if domain.kind == SVA:
        return driver.sva_refusal(device)
    if driver.is_without(device.unit, "pasids"):
        return Errno.EOPNOTSUPP
    if driver.is_without(device.name, "real-dma-subdevice"):
        return Errno.EOPNOTSUPP
    return Errno.EBUSY if driver.is_without(device.name, "copied-context") else None


def setup_refusal(driver: IntelIommu, unit: Name, domain: DomainState) -> Errno | None:
    """EINVAL: the levels that an entry of the domain would have."""
    if domain.kind == NESTED:
        needs = {FIVE_LEVELS: "5-level", SUPERVISOR_REQUESTS: "sre", ACCESSED: "eafe"}
        data = domain.data.split("+")
        wanting = any(driver.is_without(unit, needs.get(one, "")) for one in data)
        return Errno.EINVAL if wanting or BAD_WIDTH in data else None
    level = "first-level" if domain.kind == SVA else "second-level"
    return Errno.EINVAL if driver.is_without(unit, level) else None


def alloc_refusal(
    driver: IntelIommu, unit: Name, alloc: AllocDomain | AllocNestedDomain
) -> Errno | None:
    """EOPNOTSUPP flags or a kind of data that the driver does not know, EINVAL too little of it.

    EINVAL, too, a parent that another driver has made.
    """
    if isinstance(alloc, AllocNestedDomain):
        if made_domain(alloc.parent).unit not in (NULL, unit):
            return Errno.EINVAL
        if OTHER_TYPE in alloc.data:
            return Errno.EOPNOTSUPP
        return Errno.EINVAL if SHORT in alloc.data else None
    if "DIRTY_TRACKING" in alloc.flags and driver.is_without(unit, "dirty-tracking"):
        return Errno.EOPNOTSUPP
    return None


def on_hw_info(driver: IntelIommu, asked: HwInfo, sender: Name, out: Out) -> None:
    """ilog2 of max_pasids; there are none if the capability is off."""
    device = driver.devices.get(asked.device)
    on = device is not None and not driver.is_without(device.name, "pasid-off")
    pasids = device.pasids if device is not None and on else 0
    out.send(sender, HwInfoGot(asked.call, max(0, pasids.bit_length() - 1)))
