"""Domains come and go; one of an mm is told by the mm what happens to it.

An SVA domain is on its mm's list of notifiers from before it can be attached; when it is freed the
caller does not wait for callbacks that are running, the domain itself does.

Kernel: intel_svm_domain_alloc, intel_svm_domain_free and intel_mmu_notifier_ops in svm.c of 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from actors.intel_iommu.state import FAULT, NOMEM_DOMAIN, STATIC, Do, DomainState, Task, What
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


def make(driver: IntelIommu, kind: str, device: Name, maker: str, out: Out) -> DomainState | None:
    """A new domain, with a name that none has."""
    if out.may_fail(NOMEM_DOMAIN) is not None:
        return None
    unit, number = driver.devices[device].unit, 1
    while (name := domain_name(kind, unit, f"{maker}.{number}")) in driver.domains:
        number += 1
    made = DomainState(name, kind, maker)
    driver.domains[name] = made
    out.record(MemoryAllocated("domain", name))
    return made


def state_made(domain: DomainState, out: Out) -> None:
    """What it is."""
    mm = domain.vm if domain.kind == SVA else NULL
    out.record(DomainMade(domain.name, domain.kind, mm, domain.parent))


def on_domain_alloc_sva(driver: IntelIommu, alloc: DomainAllocSva, sva: Name, out: Out) -> None:
    """EINVAL without PASIDs or ATS, ENOMEM, also of the mm's list."""
    device = driver.devices[alloc.device]
    if device.pasids == 0 or not device.ats:
        out.send(sva, Refused(alloc.call, Errno.EINVAL))
        return
    made = make(driver, SVA, alloc.device, alloc.mm, out)
    if made is None:
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
    kind = NESTED if isinstance(alloc, AllocNestedDomain) else UNMANAGED
    made = make(driver, kind, alloc.device, maker, out)
    if made is None:
        out.send(maker, Refused(alloc.call, NOMEM_DOMAIN.errno))
        return
    made.faults = FAULT in alloc.flags
    made.parent = alloc.parent if isinstance(alloc, AllocNestedDomain) else NULL
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
