"""What is kept of an attachment: the place in the domain's list, its domain id, its cache tags.

Tags are assigned before the entry is present, and unassigned when nothing can be cached through it
any more: so a flush of the domain reaches every cache that has something of it (I27, I28).  An
IOTLB is shared by all attachments with one domain id and PASID behind one unit.  A nested domain is
flushed for its parent, too.

Kernel: domain_add_dev_pasid, domain_remove_dev_pasid in drivers/iommu/intel/iommu.c, cache.c.  §8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.intel_iommu.locks import cache_lock, domain_lock
from actors.intel_iommu.order import smallest_free
from actors.intel_iommu.state import (
    FLPT_DEFAULT_DID,
    NOMEM_RECORD,
    NOMEM_TAG,
    CacheTag,
    Did,
    DomainState,
    Place,
    Task,
)
from actors.intel_iommu.tasks import enter, fail, leave
from protocol.domains import NULL, SVA
from protocol.effects import Out
from protocol.facts.intel_iommu import CacheTagAssigned, CacheTagUnassigned
from protocol.names import Name

if TYPE_CHECKING:
    from actors.intel_iommu import IntelIommu

IOTLB: Final = "iotlb"
DEVTLB: Final = "devtlb"
NESTING: Final = "nesting-"


def assign_tags(driver: IntelIommu, task: Task, name: Name, out: Out) -> bool:
    """ENOMEM, of the record or of a tag; a flush that is under way comes first."""
    domain = driver.domain(name, out)
    if not enter(driver, task, cache_lock(name), out):
        return False
    errno = None
    if task.errno is None:  # What is taken back was there, and its memory with it.
        errno = out.may_fail(NOMEM_RECORD) or out.may_fail(NOMEM_TAG)
    if errno is None:
        unit = driver.devices[task.place.device].unit
        take_did(driver, domain, unit)
        for owner, kind in driver.tags_for(domain, task.place, out):
            add_tag(owner, CacheTag(kind, unit, driver.did_of(domain, unit), task.place), out)
    leave(driver, task, cache_lock(name), out)
    if errno is not None:
        fail(driver, task, errno, out)
    return errno is None


def tags_for(
    driver: IntelIommu, domain: DomainState, place: Place, out: Out
) -> list[tuple[DomainState, str]]:
    """An IOTLB, and a device TLB where there is one; the same for the parent of a nested domain."""
    ats = driver.devices[place.device].ats
    kinds = [IOTLB, DEVTLB] if ats else [IOTLB]
    tags = [(domain, kind) for kind in kinds]
    if domain.parent != NULL:
        parent = driver.domain(domain.parent, out)
        tags += [(parent, NESTING + kind) for kind in kinds]
    return tags


def same(tag: CacheTag, other: CacheTag) -> bool:
    """Whether they are one tag: a device TLB is its device's, an IOTLB its unit's."""
    if (tag.kind, tag.unit, tag.did) != (other.kind, other.unit, other.did):
        return False
    if tag.place.pasid != other.place.pasid:
        return False
    return tag.kind.endswith(IOTLB) or tag.place.device == other.place.device


def add_tag(domain: DomainState, tag: CacheTag, out: Out) -> None:
    """One more user, or a new one at the end."""
    there = next((one for one in domain.tags if same(one, tag)), None)
    if there is None:
        domain.tags.append(tag)
    else:
        there.users += 1
    state(CacheTagAssigned, domain, there or tag, tag.place, out)


def drop_tag(domain: DomainState, tag: CacheTag, out: Out) -> None:
    """One user less; one that nobody has is not noticed."""
    there = next((one for one in domain.tags if same(one, tag)), None)
    if there is None:
        return
    there.users -= 1
    if there.users == 0:
        domain.tags.remove(there)
    state(CacheTagUnassigned, domain, there, tag.place, out)


def state(
    fact: type[CacheTagAssigned | CacheTagUnassigned],
    domain: DomainState,
    tag: CacheTag,
    place: Place,
    out: Out,
) -> None:
    """For whom, and how many there are."""
    out.record(fact(domain.name, tag.kind, tag.unit, place.device, place.pasid, tag.users))


def unassign_tags(driver: IntelIommu, task: Task, name: Name, out: Out) -> bool:
    """Nothing of it can be cached any more, so nothing need be flushed."""
    domain = driver.domain(name, out)
    if not enter(driver, task, cache_lock(name), out):
        return False
    unit = driver.devices[task.place.device].unit
    if unit in domain.dids or domain.kind == SVA:
        for owner, kind in reversed(driver.tags_for(domain, task.place, out)):
            drop_tag(owner, CacheTag(kind, unit, driver.did_of(domain, unit), task.place), out)
        drop_did(domain, unit)
    leave(driver, task, cache_lock(name), out)
    return True


def link(driver: IntelIommu, task: Task, name: Name, out: Out) -> bool:
    """A release that is under way comes first."""
    if not enter(driver, task, domain_lock(name), out):
        return False
    driver.domain(name, out).places.append(task.place)
    leave(driver, task, domain_lock(name), out)
    return True


def unlink(driver: IntelIommu, task: Task, name: Name, out: Out) -> bool:
    """Without it nothing else of it is there either: nothing more is done (79ea2feb917b)."""
    domain, place = driver.domain(name, out), task.place
    if not enter(driver, task, domain_lock(name), out):
        return False
    tags = [(one.device, one.pasid) for one in domain.places]
    if (place.device, place.pasid) in tags:
        del domain.places[tags.index((place.device, place.pasid))]
    else:
        task.todo = [do for do in task.todo if do.domain != name]
    leave(driver, task, domain_lock(name), out)
    return True


# --- Domain ids -----------------------------------------------------------------------------------


def did_of(_driver: IntelIommu, domain: DomainState, unit: Name) -> int:
    """At a unit; all mms have the same."""
    return FLPT_DEFAULT_DID if domain.kind == SVA else domain.dids[unit].id


def take_did(driver: IntelIommu, domain: DomainState, unit: Name) -> None:
    """The smallest that is free at the unit, with the first attachment there."""
    if domain.kind == SVA:
        return
    if unit in domain.dids:
        domain.dids[unit].users += 1
        return
    used = [one.dids[unit].id for one in driver.domains.values() if unit in one.dids]
    domain.dids[unit] = Did(smallest_free(used, FLPT_DEFAULT_DID + 1), users=1)


def drop_did(domain: DomainState, unit: Name) -> None:
    """With the last attachment there it is free."""
    if unit in domain.dids:
        domain.dids[unit].users -= 1
        if domain.dids[unit].users == 0:
            del domain.dids[unit]
