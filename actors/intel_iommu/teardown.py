"""Tear-down of one (device, PASID): P alone, the caches from the inside out, the rest, the drain.

Each is waited for.  In an mm's release callback nothing may sleep: it leaves FPD, so that later
faults are silent, and the drain to the unbind that comes after (cf08ca81d08a, and the fix before
it).  A tear-down and a release of one domain wait for one another.

Kernel: intel_pasid_tear_down_entry in drivers/iommu/intel/pasid.c; 75ed00055c05.  §8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.intel_iommu.locks import domain_lock
from actors.intel_iommu.state import Do, Task, What
from actors.intel_iommu.tasks import ask, keep, let_go
from protocol.effects import Out
from protocol.facts import DeviceTornDown, FlushRequested, LockReleased, LockTaken
from protocol.messages import ClearPresent, InvalidateDevTlb, InvalidatePasidCache, ZeroEntry
from protocol.messages.pasid_table import (
    FIRST,
    InvalidateDomainIotlb,
    InvalidatePiotlb,
    ZeroAllButFpd,
)
from protocol.names import Call, Incarnation, Name, Pasid

if TYPE_CHECKING:
    from actors.intel_iommu import IntelIommu


def tear_down(driver: IntelIommu, task: Task, out: Out) -> bool:
    """Present: all of it.  FPD alone: that goes, and the drain comes now.  Nothing: nothing."""
    lock = driver.tear_down_lock(task)
    if lock and not keep(driver, task, lock, out):
        return False
    task.lock = lock
    task.entry = driver.table.get((task.place.device, task.place.pasid))
    steps: list[Do] = []
    if task.entry is not None and task.entry.present:
        steps = driver.teardown_steps(task)
    elif task.entry is not None and not task.silent:
        steps = driver.silenced_steps(task)
    sleeps = [at for at, do in enumerate(steps) if do.what in (What.FETCH, What.DRAIN)]
    steps.insert(sleeps[0] if sleeps else len(steps), Do(What.UNLOCK))
    task.todo[:0] = steps
    return True


def tear_down_lock(driver: IntelIommu, task: Task) -> str:
    """That of the domain that is there, until its caches are flushed; a release has it already.

    A release that found P clear would else be through before the flush is, and the page tables
    would be freed.
    """
    domain = "" if task.silent else driver.domain_of(task)
    return domain_lock(domain) if domain else ""


def unlock(driver: IntelIommu, task: Task, out: Out) -> bool:
    """What follows may sleep."""
    lock, task.lock = task.lock, ""
    if lock:
        task.doing = None
        let_go(driver, task, lock, out)
    return True


def teardown_steps(driver: IntelIommu, task: Task) -> list[Do]:
    """The device TLB is passed over where there is none, or no device any more."""
    device = task.place.device
    has_tlb = driver.devices[device].ats and device not in driver.gone
    order = [What.CLEAR, What.PASID_CACHE, What.IOTLB]
    order += [What.DEV_TLB] if has_tlb else []
    order += [What.ZERO, *driver.after_zero(task)]
    return [Do(what) for what in order]


def after_zero(_driver: IntelIommu, task: Task) -> list[What]:
    """The drain, but not in atomic code (I18)."""
    return [] if task.silent else [What.DRAIN, What.TORN_DOWN]


def silenced_steps(_driver: IntelIommu, _task: Task) -> list[Do]:
    """What a release has left to do (I20).

    The device went on, and the unit itself answers what it has asked since.  One flush fetches the
    questions, the drain's pushes the answers through: a drain alone could overtake them.
    """
    return [Do(What.ZERO), Do(What.FETCH), Do(What.DRAIN), Do(What.TORN_DOWN)]


def fetch_questions(driver: IntelIommu, task: Task, out: Out) -> bool:
    """Of a device that can have asked."""
    if not driver.is_drained(task) or task.place.device in driver.gone:
        return True
    unit = driver.devices[task.place.device].unit
    return ask(task, unit, InvalidateDevTlb(*life_of(task)), out)


def life_of(task: Task) -> tuple[Call, Name, Pasid, Incarnation]:
    """What each message of a task begins with."""
    return (task.number, task.place.device, task.place.pasid, task.place.incarnation)


def clear_present(driver: IntelIommu, task: Task, out: Out) -> bool:
    """P alone, under the unit's lock; from here on nothing is fetched."""
    unit = driver.devices[task.place.device].unit
    out.record(LockTaken(f"iommu->lock {unit}", "spinlock", task.title))
    assert task.entry is not None, "there is something to tear down"
    task.entry.present = False
    why = "release" if task.silent else "unbind"
    clear = ClearPresent(*life_of(task), task.entry.vm, why, fpd=task.silent)
    out.record(LockReleased(f"iommu->lock {unit}", "spinlock", task.title))
    return ask(task, unit, clear, out)


def flush_pasid_cache(driver: IntelIommu, task: Task, out: Out) -> bool:
    """With this the unit answers new page requests itself."""
    assert task.entry is not None, "there is something to tear down"
    unit = flush_begins(driver, task, "pasid-cache", out)
    return ask(task, unit, InvalidatePasidCache(*life_of(task), task.entry.did), out)


def flush_iotlb(driver: IntelIommu, task: Task, out: Out) -> bool:
    """By the kind of entry: its lines are found by PASID, or by domain (8798d3641119)."""
    assert task.entry is not None, "there is something to tear down"
    unit = flush_begins(driver, task, "iotlb", out)
    if driver.flushed_by_pasid(task.entry.levels):
        message = InvalidatePiotlb(*life_of(task), task.entry.did, page=0)
        return ask(task, unit, message, out)
    return ask(task, unit, InvalidateDomainIotlb(*life_of(task), task.entry.did), out)


def flushed_by_pasid(_driver: IntelIommu, levels: str) -> bool:
    """Whether the entry has a first level and nothing else."""
    return levels == FIRST


def flush_dev_tlb(driver: IntelIommu, task: Task, out: Out) -> bool:
    """Only after the IOTLB, or it would be filled again."""
    unit = flush_begins(driver, task, "device-tlb", out)
    return ask(task, unit, InvalidateDevTlb(*life_of(task)), out)


def zero_entry(driver: IntelIommu, task: Task, out: Out) -> bool:
    """Nothing can fetch it any more."""
    tag = (task.place.device, task.place.pasid)
    unit = driver.devices[task.place.device].unit
    if task.silent:
        return ask(task, unit, ZeroAllButFpd(*life_of(task)), out)
    driver.table.pop(tag, None)
    return ask(task, unit, ZeroEntry(*life_of(task)), out)


def flush_begins(driver: IntelIommu, task: Task, flush: str, out: Out) -> Name:
    """Said of each invalidation, with the unit that it goes to: the device's own (N20)."""
    place = task.place
    unit = driver.devices[place.device].unit
    out.record(FlushRequested(flush, place.device, unit, place.pasid, place.incarnation))
    return unit


def torn_down(_driver: IntelIommu, task: Task, out: Out) -> bool:
    """Cleared, flushed, drained."""
    place = task.place
    out.record(DeviceTornDown(place.device, place.pasid, place.incarnation))
    return True
