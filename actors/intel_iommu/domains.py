"""Domains come and go; one of an mm is told by the mm what happens to it.

An SVA domain is on its mm's list of notifiers from before it can be attached; when it is freed the
caller does not wait for callbacks that are running, the domain itself does.

Kernel: intel_svm_domain_alloc, intel_svm_domain_free and intel_mmu_notifier_ops in svm.c of 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from actors.intel_iommu.state import NOMEM_DOMAIN, STATIC, Do, DomainState, Task, What
from actors.intel_iommu.tasks import NOWHERE, ask, new_task, run
from protocol.domains import NESTED, NULL, SVA, UNMANAGED, domain_name, made_domain
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import MemoryAllocated, MemoryFreed, MemoryUsed
from protocol.facts.intel_iommu import DomainGone, DomainMade
from protocol.messages import Done, Refused
from protocol.messages.address_spaces import PutMmuNotifier, RegisterMmuNotifier
from protocol.messages.iommufd import AllocDomain, AllocNestedDomain, DomainGot, FreeDomain
from protocol.messages.sva import DomainAllocSva, DomainAllocSvaGot, DomainFree
from protocol.names import Name

if TYPE_CHECKING:
    from actors.intel_iommu import IntelIommu

Alloc: TypeAlias = AllocDomain | AllocNestedDomain


def domain(driver: IntelIommu, name: Name, out: Out) -> DomainState:
    """The domain of that name; one that is there from the start is met for the first time."""
    found = driver.domains.get(name)
    kind = made_domain(name).kind if found is None else found.kind
    if found is None:
        kind = next((one.kind for one in driver.given if one.name == name), kind)
        found = DomainState(name, kind, name)
        if kind not in STATIC:
            driver.domains[name] = found
    if kind not in STATIC:
        out.record(MemoryUsed("domain", name))
    return found


def make(driver: IntelIommu, made: DomainState, device: Name, out: Out) -> bool:
    """A new domain gets a name that none has; False: no memory."""
    if out.may_fail(NOMEM_DOMAIN) is not None:
        return False
    unit, number = driver.devices[device].unit, 1
    while not made.name or made.name in driver.domains:
        maker = f"{made.vm}.{number}"
        made.name = domain_name(made.kind, unit, maker, faults=made.faults)
        number += 1
    driver.domains[made.name] = made
    out.record(MemoryAllocated("domain", made.name))
    return True


def state_made(domain: DomainState, out: Out) -> None:
    """What it is."""
    mm = domain.vm if domain.kind == SVA else NULL
    out.record(DomainMade(domain.name, domain.kind, mm, domain.parent))


def on_domain_alloc_sva(driver: IntelIommu, alloc: DomainAllocSva, sva: Name, out: Out) -> None:
    """ENODEV no such device, EOPNOTSUPP no SVA, EINVAL no PASIDs, else what its hardware cannot do.

    ENOMEM, also of the mm's list.
    """
    device = driver.devices.get(alloc.device)
    if device is None:
        out.send(sva, Refused(alloc.call, Errno.ENODEV))
        return
    if driver.is_without(device.unit, "sva-domains"):
        errno: Errno | None = Errno.EOPNOTSUPP
    else:
        errno = driver.sva_refusal(device) or (None if device.pasids else Errno.EINVAL)
    if errno is not None:
        out.send(sva, Refused(alloc.call, errno))
        return
    made = DomainState(NULL, SVA, alloc.mm)
    if not make(driver, made, alloc.device, out):
        out.send(sva, Refused(alloc.call, NOMEM_DOMAIN.errno))
        return
    task = new_task(driver, "alloc", sva, alloc.call, NOWHERE)
    task.domain = made.name
    task.todo = [Do(What.NOTIFIER, made.name)]
    run(driver, task, out)


def register_notifier(driver: IntelIommu, task: Task, name: Name, out: Out) -> bool:
    """A script may name an mm that no process has: nobody calls back for that."""
    mm = driver.domains[name].vm
    if mm not in driver.processes:
        return True
    driver.domains[name].notified = True
    return ask(task, mm, RegisterMmuNotifier(task.number, mm, name), out)


def on_alloc(driver: IntelIommu, alloc: Alloc, maker: Name, out: Out) -> None:
    """A paging domain, or one nested on top of it."""
    if alloc.device not in driver.devices:
        out.send(maker, Refused(alloc.call, Errno.ENODEV))
        return
    errno = driver.alloc_refusal(driver.devices[alloc.device].unit, alloc)
    if errno is not None:
        out.send(maker, Refused(alloc.call, errno))
        return
    kind = NESTED if isinstance(alloc, AllocNestedDomain) else UNMANAGED
    made = DomainState(NULL, kind, maker, faults=alloc.faults)
    if not make(driver, made, alloc.device, out):
        out.send(maker, Refused(alloc.call, NOMEM_DOMAIN.errno))
        return
    if isinstance(alloc, AllocNestedDomain):
        made.parent, made.data = alloc.parent, "+".join(alloc.data)
    state_made(made, out)
    out.send(maker, DomainGot(alloc.call, made.name))


def on_free(driver: IntelIommu, free: DomainFree | FreeDomain, sender: Name, out: Out) -> None:
    """Nobody attaches it any more; an mm may still be calling back."""
    found = driver.domain(free.domain, out)
    out.record(DomainGone(found.name))
    if found.notified:
        task = new_task(driver, "free", NULL, 0, NOWHERE)
        task.domain = found.name
        task.todo = [Do(What.PUT_NOTIFIER, found.name)]
        run(driver, task, out)
    else:
        forget(driver, found.name, out)
    out.send(sender, Done(free.call))


def put_notifier(driver: IntelIommu, task: Task, name: Name, out: Out) -> bool:
    """Answered after a grace period."""
    mm = driver.domains[name].vm
    return ask(task, mm, PutMmuNotifier(task.number, mm, name), out)


def forget(driver: IntelIommu, name: Name, out: Out) -> None:
    """Its memory goes."""
    del driver.domains[name]
    out.record(MemoryFreed("domain", name))


def ended(driver: IntelIommu, task: Task, out: Out) -> None:
    """What has come of a task that is over."""
    match task.name:
        case "alloc" if task.errno is None:
            state_made(driver.domains[task.domain], out)
            out.send(task.asker, DomainAllocSvaGot(task.call, task.domain))
            task.asker = NULL  # That was the answer.
        case "alloc" | "free":
            forget(driver, task.domain, out)
        case _:
            pass
