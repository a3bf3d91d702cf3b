"""A PASID gets another domain: attach, replace, and detach, which is the blocking domain.

Attach: may the two go together; then what is kept of it, the reference on page faults, the
hardware; what was there goes last.  What fails is taken back in reverse, so that a refusal has
changed nothing.  Replace tears down the old entry before it sets up the new one (c3b1edea3791), and
only then drops the old one's reference: the device may not leave the fault core's queue before its
requests are drained (f0b9d31c6edd says so of detach; Linux 7.3 drops it first).

Kernel: intel_iommu_set_dev_pasid, intel_svm_set_dev_pasid, intel_nested_set_dev_pasid,
blocking_domain_set_dev_pasid of Linux 7.3.  §8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.intel_iommu.state import STATIC, Do, DomainState, Place, Pte, Task, What
from actors.intel_iommu.tasks import ask, fail, new_task, run, state_thread
from protocol.domains import BLOCKED, NESTED, NULL, SVA
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.intel_iommu import DevPasidRefused, DevPasidSet
from protocol.messages import Done, Refused
from protocol.messages.iommu_core import RemoveDevPasid, SetDevPasid
from protocol.messages.pasid_table import FIRST, NESTED_LEVELS, SECOND, SetUpEntry
from protocol.names import Name

if TYPE_CHECKING:
    from actors.intel_iommu import IntelIommu


def on_set_dev_pasid(driver: IntelIommu, request: SetDevPasid, core: Name, out: Out) -> None:
    """`old` is what the core says; the blocking domain takes the PASID away."""
    place = Place(request.device, request.pasid, request.incarnation)
    kind = driver.domain(request.domain, out).kind
    if kind == BLOCKED:
        task = new_task(driver, "detach", core, request.call, place)
        state_thread(task, out)
        task.domain, task.old = request.domain, request.old
        task.todo = driver.detach_steps(task, out)
        run(driver, task, out)
        return
    task = new_task(driver, "attach", core, request.call, place)
    state_thread(task, out)
    task.domain, task.old = request.domain, request.old
    errno = driver.incompatible(task, out)
    if errno is None:
        task.todo = driver.attach_steps(task, out)
        run(driver, task, out)
    else:
        fail(driver, task, errno, out)


def on_remove_dev_pasid(driver: IntelIommu, request: RemoveDevPasid, core: Name, out: Out) -> None:
    """Up to 6.12: the same as the blocking domain in its place."""
    place = Place(request.device, request.pasid, request.incarnation)
    task = new_task(driver, "detach", core, request.call, place)
    state_thread(task, out)
    task.old = request.domain
    task.todo = driver.detach_steps(task, out)
    run(driver, task, out)


def incompatible(driver: IntelIommu, task: Task, out: Out) -> Errno | None:
    """EOPNOTSUPP the device has no PASIDs; else what its hardware cannot do.

    A domain of another unit does not come as far as here: the core refuses it.
    """
    device = driver.devices.get(task.place.device)
    if device is None or device.pasids == 0:
        return Errno.EOPNOTSUPP
    domain = driver.domain(task.domain, out)
    return driver.set_refusal(device, domain) or driver.setup_refusal(device.unit, domain)


def attach_steps(driver: IntelIommu, task: Task, out: Out) -> list[Do]:
    """Books, page faults, hardware; then what was there goes in the same order."""
    new, old = task.domain, driver.recorded(task.old, out)
    return [
        Do(What.TAG, new),
        Do(What.LINK, new),
        Do(What.IOPF_GET, new),
        *([Do(What.TEAR_DOWN)] if task.old != NULL else []),
        Do(What.WRITE, new),
        *([Do(What.IOPF_PUT, old), Do(What.UNLINK, old), Do(What.UNTAG, old)] if old else []),
    ]


def detach_steps(driver: IntelIommu, task: Task, out: Out) -> list[Do]:
    """The hardware first, drained; then the reference on page faults, then the books.

    They are those of what is there, whatever domain the detach names: it is not refused, and else
    it would cost a reference of whose it is, and leave its record behind.
    """
    old = driver.recorded(driver.domain_of(task), out)
    books = [Do(What.IOPF_PUT, old), Do(What.UNLINK, old), Do(What.UNTAG, old)] if old else []
    return [Do(What.TEAR_DOWN), *books]


def recorded(driver: IntelIommu, domain: Name, out: Out) -> Name:
    """The domain, if anything is kept of where it is: not of a static one (a6dea58d8625)."""
    if domain == NULL or driver.domain(domain, out).kind in STATIC:
        return NULL
    return domain


def write_entry(driver: IntelIommu, task: Task, name: Name, out: Out) -> bool:
    """EBUSY if one is present.  None for an mm that has gone: its tables are nobody's any more."""
    domain, place = driver.domain(name, out), task.place
    tag = (place.device, place.pasid)
    there = driver.table.get(tag)
    if there is not None and there.present:
        fail(driver, task, Errno.EBUSY, out)
        return False
    if domain.released:
        return True
    unit = driver.devices[place.device].unit
    pte = Pte(domain.vm, driver.did_of(domain, unit), levels_of(domain))
    driver.table[tag] = pte
    life = (task.number, place.device, place.pasid, place.incarnation)
    return ask(task, unit, SetUpEntry(*life, domain.vm, pte.did, pte.levels), out)


def levels_of(domain: DomainState) -> str:
    """Which levels its entries have."""
    if domain.kind == SVA:
        return FIRST
    return NESTED_LEVELS if domain.kind == NESTED else SECOND


def refused(driver: IntelIommu, task: Task, errno: Errno, out: Out) -> None:
    """Nobody but us writes entries, so what a unit refuses was never ours."""
    if task.doing is not None and task.doing.what is What.WRITE:
        driver.table.pop((task.place.device, task.place.pasid), None)
    fail(driver, task, errno, out)


def finish(driver: IntelIommu, task: Task, out: Out) -> None:
    """The answer; a task of our own has none."""
    del driver.tasks[task.number]
    if task.name in ("attach", "detach"):
        state_outcome(driver, task, out)
    driver.ended(task, out)
    if task.asker == NULL:
        return
    if task.errno is None:
        out.send(task.asker, Done(task.call))
    else:
        out.send(task.asker, Refused(task.call, task.errno))


def state_outcome(driver: IntelIommu, task: Task, out: Out) -> None:
    """Everything as asked, or everything as before."""
    device, pasid, incarnation = task.place.device, task.place.pasid, task.place.incarnation
    if task.errno is not None:
        errno = task.errno.value
        out.record(DevPasidRefused(device, pasid, incarnation, task.domain, errno))
        return
    pte = driver.table.get((device, pasid))
    out.record(
        DevPasidSet(
            device=device,
            pasid=pasid,
            incarnation=incarnation,
            domain=task.domain,
            old=task.old,
            faults=driver.counts_faults(task.domain, device, out),
            present=pte is not None and pte.present,
        )
    )
