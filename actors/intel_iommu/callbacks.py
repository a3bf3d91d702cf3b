"""What an mm tells its domains: it goes, or what it had somewhere is not there any more.

Both run where nothing may sleep, with a spinlock of the domain: a release with that of its places,
a flush with that of its cache tags.  Each answers when its own commands are complete (I29).

Kernel: intel_mm_release, intel_arch_invalidate_secondary_tlbs in svm.c; cache_tag_flush_range of
drivers/iommu/intel/cache.c of Linux 7.3.  §8 (I18, I19, I27).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from actors.intel_iommu.locks import cache_lock, domain_lock
from actors.intel_iommu.records import IOTLB
from actors.intel_iommu.state import CacheTag, Do, DomainState, Task, What
from actors.intel_iommu.tasks import NOWHERE, ask, keep, let_go, new_task, run, state_thread
from protocol.domains import NESTED, SVA
from protocol.effects import Out
from protocol.facts.intel_iommu import (
    AddressSpaceReleased,
    SecondaryTlbsFlushBegun,
    SecondaryTlbsFlushed,
)
from protocol.messages import AnyMessage, Done, InvalidateDevTlb
from protocol.messages.address_spaces import InvalidateSecondaryTlbs, ReleaseMm
from protocol.messages.pasid_table import InvalidateDomainIotlb, InvalidatePiotlb
from protocol.names import Name

if TYPE_CHECKING:
    from actors.intel_iommu import IntelIommu


def on_release_mm(driver: IntelIommu, request: ReleaseMm, mm: Name, out: Out) -> None:
    """Every place of the domain, one after the other; nothing is unlinked or drained."""
    if request.domain not in driver.domains:
        out.send(mm, Done(request.call))
        return
    task = new_task(driver, "release", mm, request.call, NOWHERE)
    state_thread(task, out)
    task.domain, task.silent = request.domain, True
    task.todo = [Do(What.NEXT)]
    run(driver, task, out)


def next_place(driver: IntelIommu, task: Task, out: Out) -> bool:
    """The first time the lock is taken, and from then on no entry of the domain is set up."""
    lock = domain_lock(task.domain)
    if lock not in driver.locks or driver.locks[lock].holder != task.number:
        if not keep(driver, task, lock, out):
            return False
        domain = driver.domain(task.domain, out)
        domain.released = True
        task.places = list(domain.places)
    if not task.places:
        task.doing = None
        out.record(AddressSpaceReleased(task.domain, driver.domain(task.domain, out).vm))
        let_go(driver, task, lock, out)
        return True
    task.place = task.places.pop(0)
    task.todo[:0] = [Do(What.TEAR_DOWN), Do(What.NEXT)]
    return True


def on_invalidate(
    driver: IntelIommu, request: InvalidateSecondaryTlbs, sender: Name, out: Out
) -> None:
    """Every cache that the domain is tagged with."""
    if request.domain not in driver.domains:
        out.send(sender, Done(request.call))
        return
    task = new_task(driver, "flush", sender, request.call, NOWHERE)
    state_thread(task, out)
    task.domain, task.page = request.domain, request.page
    out.record(SecondaryTlbsFlushBegun(task.domain, task.page, task.title))
    task.todo = [Do(What.FLUSH)]
    run(driver, task, out)


def flush_next(driver: IntelIommu, task: Task, out: Out) -> bool:
    """The first time the lock is taken; a device that is gone has no TLB."""
    lock = cache_lock(task.domain)
    if lock not in driver.locks or driver.locks[lock].holder != task.number:
        if not keep(driver, task, lock, out):
            return False
        domain = driver.domain(task.domain, out)
        task.tags = [replace(tag) for tag in driver.tags_to_flush(domain)]
    if not task.tags:
        task.doing = None
        out.record(SecondaryTlbsFlushed(task.domain, task.page, task.title))
        let_go(driver, task, lock, out)
        return True
    task.todo.insert(0, Do(What.FLUSH))
    tag = task.tags.pop(0)
    if not tag.kind.endswith(IOTLB) and tag.place.device in driver.gone:
        return True
    return ask(task, tag.unit, driver.flush_of(task, tag, out), out)


def tags_to_flush(_driver: IntelIommu, domain: DomainState) -> list[CacheTag]:
    """All of them, in the order in which they were assigned: each IOTLB before its device TLBs."""
    return domain.tags


def flush_of(driver: IntelIommu, task: Task, tag: CacheTag, out: Out) -> AnyMessage:
    """The command for a tag: a first level is flushed by PASID, a second one by domain.

    That of a nested domain is the guest's first (04b1b069f151); its parent's goes with all of it.
    """
    place = tag.place
    life = (task.number, place.device, place.pasid, place.incarnation)
    match tag.kind:
        case "iotlb" if driver.domain(task.domain, out).kind in (SVA, NESTED):
            return InvalidatePiotlb(*life, tag.did, task.page)
        case "iotlb" | "nesting-iotlb":
            return InvalidateDomainIotlb(*life, tag.did)
        case "nesting-devtlb":
            return InvalidateDevTlb(task.number, place.device, 0, 0)
        case _:
            return InvalidateDevTlb(*life)
