"""The VT-d driver, as a user of PASIDs.

In each device's PASID table it nests a guest's first level over its VM's second, or points to a
process's own (`native`).  It holds one reference on every PASID it has bound, from the first bind
to the last teardown; the core's FREE makes it clean up for whoever frees before he unbinds.

Kernel: drivers/iommu/intel/{svm,pasid}.c; "[PATCH V4 14/18]".  §4.2 to §4.4, module by module.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self

from actors.iommu_driver import (
    answers,
    bind,
    domains,
    drain,
    free,
    lock,
    native,
    prq,
    reset,
    rollback,
    svm,
    teardown,
    unbind,
)
from actors.iommu_driver.inbox import Inbox
from actors.iommu_driver.state import Detaching, Mutex, Svm, Task
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.machine import Machine
from protocol.messages import (
    AttachDomain,
    BindGpasid,
    DetachDomain,
    DeviceReset,
    Done,
    DrainRequestsGot,
    FindPasidGot,
    HostLost,
    NotifyAlloc,
    NotifyBind,
    NotifyFree,
    NotifyUnbind,
    PageRequestInterrupt,
    PageResponse,
    PutPasidGot,
    ReadPrqGot,
    Refused,
    RunWork,
    Start,
    TimerFired,
    UnbindGpasid,
)
from protocol.names import NO_SET, Call, Name, Pasid

__all__ = ["Inbox", "IommuDriver"]


@dataclass(slots=True)
class IommuDriver(native.NativeSva):
    """A PASID is in `svms` exactly while we hold its reference `svm`.

    `domains_on` has the domain id of each VM on each device and mdev, `parents` the device behind
    an mdev; `detaching` waits for svm_devs; PASIDs of mms are out of `host_set`; `ids`: see there.
    """

    SVM: ClassVar[Site] = Site("iommu.bind.svm", Errno.ENOMEM)
    SDEV: ClassVar[Site] = Site("iommu.bind.sdev", Errno.ENOMEM)
    ENABLE_PASID: ClassVar[Site] = Site("iommu.bind.enable_pasid", Errno.EINVAL)
    SITES: ClassVar[tuple[Site, ...]] = (SVM, SDEV, ENABLE_PASID)
    LOSABLE: ClassVar[bool] = False

    units: dict[Name, Name]
    pasids: dict[Name, int]
    pri: dict[Name, bool]
    domains_on: dict[Name, dict[Name, int]] = field(default_factory=dict)
    detaching: list[Detaching] = field(default_factory=list)
    svms: dict[Pasid, Svm] = field(default_factory=dict)
    pasid_mutex: Mutex = field(default_factory=Mutex)
    tasks: dict[Call, Task] = field(default_factory=dict)
    parents: dict[Name, Name] = field(default_factory=dict)
    host_quota: int = 0
    host_set: int = NO_SET
    ids: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """Nothing is bound; all that the machine says of its devices is known."""
        units = {device.name: device.unit for device in machine.devices}
        pasids = {device.name: device.pasids for device in machine.devices}
        pri = {device.name: machine.has_pri(device) for device in machine.devices}
        return cls(units, pasids, pri, parents=machine.parents, host_quota=machine.host_quota)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """The driver's table of contents; at the end mutex and domains go to those who wait."""
        match message:
            case Done() | ReadPrqGot() | DrainRequestsGot():
                answers.on_answer(self, message, out)
            case FindPasidGot() | PutPasidGot() | Refused():
                answers.on_answer(self, message, out)
            case BindGpasid():
                self.on_bind_gpasid(message, sender, out)
            case UnbindGpasid():
                self.on_unbind_gpasid(message, sender, out)
            case PageRequestInterrupt():
                self.on_page_request_interrupt(sender, out)
            case TimerFired():
                self.on_timer_fired(message, out)
            case PageResponse():
                self.on_page_response(message, sender, out)
            case NotifyFree():
                self.on_notify_free(message, sender, out)
            case NotifyAlloc() | NotifyBind() | NotifyUnbind():
                self.on_set_notification(message, sender, out)
            case RunWork():
                self.on_run_work(message, out)
            case DeviceReset():
                self.on_device_reset(sender, out)
            case AttachDomain():
                self.on_attach_domain(message, sender, out)
            case DetachDomain():
                self.on_detach_domain(message, sender, out)
            case Start():
                self.on_start(out)
            case HostLost():
                pass  # VFIO unbinds for a guest that is gone; invalidating a lost device times out.
            case _:
                native.on_message(self, message, sender, out)
        lock.hand_over(self, out)
        domains.answer_detaches(self, out)

    # Handlers, and the steps of each operation in their order.
    may_let_go = lock.may_let_go
    on_bind_gpasid = bind.on_bind_gpasid
    bind_refusal = bind.bind_refusal
    find_pasid = bind.find_pasid
    pasid_found = bind.pasid_found
    join_refusal = bind.join_refusal
    make_sdev = bind.make_sdev
    write_entry = bind.write_entry
    link_device = bind.link_device
    attach_spid = bind.attach_spid
    bind_goes_on = bind.bind_goes_on
    bind_refused = rollback.bind_refused
    undo = rollback.undo
    get_reference = svm.get_reference
    make_svm = svm.make_svm
    attach_data = svm.attach_data
    leave_svm = svm.leave_svm
    end_svm = svm.end_svm
    detach_spid = svm.detach_spid
    detach_data = svm.detach_data
    put_reference = svm.put_reference
    finish = svm.finish
    on_unbind_gpasid = unbind.on_unbind_gpasid
    unbind_device = unbind.unbind_device
    may_unbind = unbind.may_unbind
    unit_of = teardown.unit_of
    flush_unit_of = teardown.flush_unit_of
    unlink = teardown.unlink
    clear_present = teardown.clear_present
    invalidate_pasid_cache = teardown.invalidate_pasid_cache
    invalidate_iotlb = teardown.invalidate_iotlb
    invalidate_dev_tlb = teardown.invalidate_dev_tlb
    zero_entry = teardown.zero_entry
    teardown_goes_on = teardown.teardown_goes_on
    teardown_refused = teardown.teardown_refused
    torn_down = teardown.torn_down
    begin_drain = drain.begin_drain
    scan_ring = drain.scan_ring
    ring_scanned = drain.ring_scanned
    flush_faults = drain.flush_faults
    answer_pending = drain.answer_pending
    drain_requests = drain.drain_requests
    requests_drained = drain.requests_drained
    on_start = free.on_start
    notifier_priority = free.notifier_priority
    on_set_notification = free.on_set_notification
    on_notify_free = free.on_notify_free
    queue_work = free.queue_work
    on_run_work = free.on_run_work
    next_device = free.next_device
    on_page_request_interrupt = prq.on_page_request_interrupt
    wake_thread = prq.wake_thread
    on_timer_fired = prq.on_timer_fired
    ring_read = prq.ring_read
    take_request = prq.take_request
    on_page_response = prq.on_page_response
    respond = prq.respond
    answer_page = prq.answer_page
    answer_group = prq.answer_group
    on_device_reset = reset.on_device_reset
    fence_reset = reset.fence_reset
    hardware = domains.hardware
    on_attach_domain = domains.on_attach_domain
    on_detach_domain = domains.on_detach_domain
    uses_domain = domains.uses_domain
    domain_id = domains.domain_id
