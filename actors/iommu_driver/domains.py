"""Second levels of VMs on devices (aux domains).

An entry points to the second level of its VM, so the domain stays until the last svm_dev of that VM
on that device has gone: a detach waits for it (mends S7: as posted the second level could go).

Kernel: aux_domain_add_dev and aux_domain_remove_dev in drivers/iommu/intel/iommu.c.  §4.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_driver.order import insert, smallest_free
from actors.iommu_driver.state import Detaching
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import AttachDomain, DetachDomain, Done, Refused
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver


def on_attach_domain(driver: IommuDriver, attach: AttachDomain, sender: Name, out: Out) -> None:
    """One domain for each VM on a device, with the smallest domain id that is free."""
    if attach.device not in driver.units:
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
        domains.pop(waiting.vm, None)
        if not domains:
            driver.domains_on.pop(waiting.device, None)
        out.send(waiting.asker, Done(waiting.call))


def uses_domain(driver: IommuDriver, device: Name, vm: Name) -> bool:
    """Whether an svm_dev of the VM, in whatever state, is on the device."""
    return any(svm.vm == vm and device in svm.devices for svm in driver.svms.values())


def domain_id(driver: IommuDriver, device: Name, vm: Name) -> int | None:
    """The domain id to bind with; a domain that is being detached does not count."""
    if any(leaving.device == device and leaving.vm == vm for leaving in driver.detaching):
        return None
    return driver.domains_on.get(device, {}).get(vm)
