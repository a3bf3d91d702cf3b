"""The invalidation queue of a unit: in order, one at a time, waiting for devices (§5.5).

Between two inputs the head of the queue, if there is one, waits for its device: everything else is
complete at once.  Kernel: qi_submit_sync, intel_svm_drain_prq in drivers/iommu/intel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from actors.iommu_unit import by_level
from actors.iommu_unit.state import Invalidation, Queued
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import CacheFlushed, RequestsDrained
from protocol.messages import (
    Done,
    DrainRequests,
    DrainRequestsGot,
    FlushDevTlb,
    InvalidateDevTlb,
    InvalidateIotlb,
    InvalidatePasidCache,
    Refused,
)
from protocol.messages.pasid_table import InvalidateDomainIotlb, InvalidatePiotlb
from protocol.names import Call, Name

if TYPE_CHECKING:
    from actors.iommu_unit import IommuUnit

FLUSH: Final[Call] = 1
"""The unit has one call outstanding at most, so it needs one number."""


def submit(unit: IommuUnit, invalidation: Invalidation, requester: Name, out: Out) -> None:
    """Behind those that are there."""
    unit.queue.append(Queued(requester, invalidation))
    if len(unit.queue) == 1:
        proceed(unit, out)


def proceed(unit: IommuUnit, out: Out) -> None:
    """Work off the queue until its head has to wait for a device."""
    while unit.queue:
        head = unit.queue[0].invalidation
        flush(unit, head, out)
        if waits_for_device(unit, head):
            out.send(head.device, FlushDevTlb(FLUSH, head.pasid, head.incarnation))
            return
        answer_head(unit, out)


def device_completed(unit: IommuUnit, device: Name, out: Out) -> None:
    """The device has completed its part of the head, or will never do so."""
    if not unit.queue or unit.queue[0].invalidation.device != device:
        return  # Not waited for; or completed after the device's loss had been announced.

    answer_head(unit, out)
    proceed(unit, out)


def flush(unit: IommuUnit, invalidation: Invalidation, out: Out) -> None:
    """The unit's own part."""
    tag = (invalidation.device, invalidation.pasid)
    match invalidation:
        case InvalidatePasidCache():
            unit.pasid_cache.pop(tag, None)
            record_flushed(unit, "pasid-cache", invalidation, out)
        case InvalidateIotlb() if not selects(unit, invalidation):
            pass  # Lines of another domain stay.
        case InvalidateIotlb() | DrainRequests():
            unit.iotlb.pop(tag, None)
            record_flushed(unit, "iotlb", invalidation, out)
        case InvalidateDevTlb():
            pass  # All of it is the device's.
        case InvalidatePiotlb() | InvalidateDomainIotlb():
            by_level.flush(unit, invalidation, out)
        case _:
            assert_never(invalidation)


def selects(unit: IommuUnit, invalidation: InvalidateIotlb) -> bool:
    """Whether it is of the domain that the entry, until it is zeroed, has (VT-d 6.5.2.4)."""
    entry = unit.entries.get((invalidation.device, invalidation.pasid))
    return entry is None or entry.did == invalidation.did


def waits_for_device(unit: IommuUnit, invalidation: Invalidation) -> bool:
    """Whether a device TLB that can still answer is to be flushed.

    Without PDS the bit that makes a drain wait is reserved, so nothing is waited for.
    """
    match invalidation:
        case InvalidateDevTlb():
            waits = True
        case DrainRequests():
            waits = unit.pds
        case _:
            waits = False
    device = invalidation.device
    return waits and unit.reaches(device) and unit.has_ats[device]


def answer_head(unit: IommuUnit, out: Out) -> None:
    """The head is complete and leaves the queue."""
    head = unit.queue.pop(0)
    invalidation = head.invalidation
    match invalidation:
        case DrainRequests():
            # Links are in order: what the device posted before its completion is in the ring now.
            record_drained(unit, head.requester, invalidation, out)
            out.send(head.requester, DrainRequestsGot(invalidation.call, unit.overflow))
        case InvalidateDevTlb() if not unit.reaches(invalidation.device):
            out.send(head.requester, Refused(invalidation.call, Errno.ETIMEDOUT))
        case _:
            out.send(head.requester, Done(invalidation.call))


def record_flushed(unit: IommuUnit, cache: str, invalidation: Invalidation, out: Out) -> None:
    """The cache has no line left, unless the device is another unit's: then nothing was flushed."""
    if invalidation.device not in unit.has_ats:
        return
    out.record(
        CacheFlushed(cache, invalidation.device, invalidation.pasid, invalidation.incarnation)
    )


def record_drained(unit: IommuUnit, by: Name, drain: DrainRequests, out: Out) -> None:
    """Nothing is drained of a device that another unit has."""
    if drain.device not in unit.has_ats:
        return
    out.record(
        RequestsDrained(
            unit=unit.name,
            device=drain.device,
            pasid=drain.pasid,
            incarnation=drain.incarnation,
            by=by,
            overflow=unit.overflow,
        )
    )
