"""The steps by name, and as the methods of the driver, so that each can be another one's.

Kernel: none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.intel_iommu import (
    attach,
    callbacks,
    capabilities,
    domains,
    drain,
    hotplug,
    iopf,
    prq,
    records,
    tasks,
    teardown,
)
from actors.intel_iommu.state import Do, Task, What
from protocol.effects import Out

if TYPE_CHECKING:
    from actors.intel_iommu import IntelIommu


def begin(driver: IntelIommu, task: Task, do: Do, out: Out) -> bool:
    """Whether the step is over at once; else it is when it is answered, or its turn has come."""
    match do.what:
        case What.TAG:
            return driver.assign_tags(task, do.domain, out)
        case What.LINK:
            return driver.link(task, do.domain, out)
        case What.UNLINK:
            return driver.unlink(task, do.domain, out)
        case What.UNTAG:
            return driver.unassign_tags(task, do.domain, out)
        case What.IOPF_GET:
            return driver.iopf_get(task, do.domain, out)
        case What.IOPF_PUT:
            return driver.iopf_put(task, do.domain, out)
        case What.WRITE:
            return driver.write_entry(task, do.domain, out)
        case What.NOTIFIER:
            return driver.register_notifier(task, do.domain, out)
        case What.PUT_NOTIFIER:
            return driver.put_notifier(task, do.domain, out)
        case What.NEXT:
            return driver.next_place(task, out)
        case What.FLUSH:
            return driver.flush_next(task, out)
        case What.RETURN:
            return driver.return_to_service(task, out)
        case What.FORGET:
            return driver.forget_device(task, out)
        case What.LEAVE:
            return driver.leave_next(task, out)
        case What.LEFT:
            return driver.left(task, out)
        case _:
            return begin_teardown(driver, task, do.what, out)


def begin_teardown(driver: IntelIommu, task: Task, what: What, out: Out) -> bool:
    """The steps of a tear-down and its drain."""
    match what:
        case What.TEAR_DOWN:
            return driver.tear_down(task, out)
        case What.CLEAR:
            return driver.clear_present(task, out)
        case What.PASID_CACHE:
            return driver.flush_pasid_cache(task, out)
        case What.IOTLB:
            return driver.flush_iotlb(task, out)
        case What.DEV_TLB:
            return driver.flush_dev_tlb(task, out)
        case What.ZERO:
            return driver.zero_entry(task, out)
        case What.FETCH:
            return driver.fetch_questions(task, out)
        case What.UNLOCK:
            return driver.unlock(task, out)
        case What.DRAIN:
            return driver.begin_drain(task, out)
        case What.SCAN:
            return driver.scan_ring(task, out)
        case What.FLUSH_FAULTS:
            return driver.flush_faults(task, out)
        case What.FENCE:
            return driver.fence(task, out)
        case _:
            assert what is What.TORN_DOWN, "the others are no part of a tear-down"
            return driver.torn_down(task, out)


class Steps:
    """The driver's operations, each step a method."""

    __slots__ = ()

    begin = begin
    on_answer = tasks.on_answer
    answered = tasks.answered
    undo = tasks.undo

    on_set_dev_pasid = attach.on_set_dev_pasid
    on_remove_dev_pasid = attach.on_remove_dev_pasid
    incompatible = attach.incompatible
    attach_steps = attach.attach_steps
    detach_steps = attach.detach_steps
    recorded = attach.recorded
    write_entry = attach.write_entry
    refused = attach.refused
    finish = attach.finish

    is_without = capabilities.is_without
    sva_refusal = capabilities.sva_refusal
    set_refusal = capabilities.set_refusal
    setup_refusal = capabilities.setup_refusal
    alloc_refusal = capabilities.alloc_refusal
    on_hw_info = capabilities.on_hw_info

    assign_tags = records.assign_tags
    tags_for = records.tags_for
    unassign_tags = records.unassign_tags
    link = records.link
    unlink = records.unlink
    did_of = records.did_of

    iopf_get = iopf.get
    iopf_put = iopf.put
    iopf_got = iopf.got
    handles_faults = iopf.handles_faults
    counts_faults = iopf.counts_faults

    tear_down = teardown.tear_down
    tear_down_lock = teardown.tear_down_lock
    unlock = teardown.unlock
    teardown_steps = teardown.teardown_steps
    after_zero = teardown.after_zero
    silenced_steps = teardown.silenced_steps
    clear_present = teardown.clear_present
    flush_pasid_cache = teardown.flush_pasid_cache
    flush_iotlb = teardown.flush_iotlb
    flushed_by_pasid = teardown.flushed_by_pasid
    flush_dev_tlb = teardown.flush_dev_tlb
    zero_entry = teardown.zero_entry
    fetch_questions = teardown.fetch_questions
    torn_down = teardown.torn_down

    begin_drain = drain.begin_drain
    is_drained = drain.is_drained
    drain_steps = drain.drain_steps
    scan_ring = drain.scan_ring
    ring_scanned = drain.ring_scanned
    is_of = drain.is_of
    flush_faults = drain.flush_faults
    fence = drain.fence
    fenced = drain.fenced
    on_device_reset = drain.on_device_reset
    return_to_service = drain.return_to_service

    on_page_request_interrupt = prq.on_page_request_interrupt
    on_timer_fired = prq.on_timer_fired
    round_of = prq.round_of
    round_goes_on = prq.round_goes_on
    next_request = prq.next_request
    begin_report = prq.begin_report
    is_there = prq.is_there
    report = prq.report
    reported = prq.reported
    end_round = prq.end_round
    on_respond = prq.on_respond
    answerer = prq.answerer

    domain = domains.domain
    on_domain_alloc_sva = domains.on_domain_alloc_sva
    on_alloc = domains.on_alloc
    on_free = domains.on_free
    register_notifier = domains.register_notifier
    put_notifier = domains.put_notifier
    ended = domains.ended

    on_probe = hotplug.on_probe
    on_release = hotplug.on_release
    forget_device = hotplug.forget_device
    leave_next = hotplug.leave_next
    left = hotplug.left

    on_release_mm = callbacks.on_release_mm
    next_place = callbacks.next_place
    on_invalidate = callbacks.on_invalidate
    flush_next = callbacks.flush_next
    tags_to_flush = callbacks.tags_to_flush
    flush_of = callbacks.flush_of
