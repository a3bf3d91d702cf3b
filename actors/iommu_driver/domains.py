"""Second levels of VMs on devices (aux domains).

A VM may have several on one device, by mdevs of it: one domain for each, by the mdev's name.
An entry points to the second level of its VM, so the domain stays until the last svm_dev of that VM
on that device has gone: a detach waits for it (mends S7: as posted the second level could go).

Kernel: aux_domain_add_dev and aux_domain_remove_dev in drivers/iommu/intel/iommu.c.  §4.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_driver.order import insert, smallest_free
from actors.iommu_driver.state import Detaching, Svm
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import DomainBound, DomainFreed, DomainUnbound
from protocol.messages import AttachDomain, DetachDomain, Done, Refused
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver


def hardware(driver: IommuDriver, device: Name) -> Name:
    """The device that has the PASID table: of an mdev, its parent."""
    return driver.parents.get(device, device)


def on_attach_domain(driver: IommuDriver, attach: AttachDomain, sender: Name, out: Out) -> None:
    """One domain for each VM on a device or mdev, with the smallest domain id that is free."""
    if driver.hardware(attach.device) not in driver.units:
        out.send(sender, Refused(attach.call, Errno.EINVAL))
        return
    if attach.vm in driver.domains_on.get(attach.device, {}):
        out.send(sender, Refused(attach.call, Errno.EBUSY))
        return

    dids = {did for domains in driver.domains_on.values() for did in domains.values()}
    domains = driver.domains_on.get(attach.device, {})
    insert(domains, attach.vm, smallest_free(dids))
    insert(driver.domains_on, attach.device, domains)
    out.send(sender, Done(attach.call))


def on_detach_domain(driver: IommuDriver, detach: DetachDomain, sender: Name, out: Out) -> None:
    """From here on no bind finds the domain; it goes when nothing uses it."""
    driver.detaching.append(Detaching(sender, detach.call, detach.device, detach.vm))
    answer_detaches(driver, out)


def answer_detaches(driver: IommuDriver, out: Out) -> None:
    """Every detach whose domain is not used any more."""
    for waiting in list(driver.detaching):
        if driver.uses_domain(waiting.device, waiting.vm):
            continue
        driver.detaching.remove(waiting)
        domains = driver.domains_on.get(waiting.device, {})
        freed = domains.pop(waiting.vm, None)
        if not domains:
            driver.domains_on.pop(waiting.device, None)
        if freed is not None and waiting.device in driver.parents:
            hardware = driver.hardware(waiting.device)
            out.record(DomainFreed(waiting.device, hardware, waiting.vm))
        out.send(waiting.asker, Done(waiting.call))


def uses_domain(driver: IommuDriver, device: Name, vm: Name) -> bool:
    """Whether an svm_dev of the VM, in whatever state, was bound through the device or mdev."""
    hardware = driver.hardware(device)
    mine = [svm for svm in driver.svms.values() if svm.vm == vm and hardware in svm.devices]
    return any(device in svm.devices[hardware].through for svm in mine)


def domain_id(driver: IommuDriver, device: Name, vm: Name) -> int | None:
    """The domain id to bind with; a domain that is being detached does not count."""
    if any(leaving.device == device and leaving.vm == vm for leaving in driver.detaching):
        return None
    return driver.domains_on.get(device, {}).get(vm)


def record_bound(driver: IommuDriver, svm: Svm, domain: Name, out: Out) -> None:
    """A bind through an mdev holds, by the second level that the entry has."""
    if domain in driver.parents:
        device = driver.hardware(domain)
        level = svm.devices[device].through[0]
        life = (svm.pasid, svm.incarnation)
        out.record(DomainBound(domain, device, *life, vm=svm.vm, second_level=level))


def record_unbound(driver: IommuDriver, svm: Svm, domain: Name, out: Out) -> None:
    """What was bound through the mdev was asked to go."""
    if domain in driver.parents:
        out.record(DomainUnbound(domain, driver.hardware(domain), svm.pasid, svm.incarnation))
