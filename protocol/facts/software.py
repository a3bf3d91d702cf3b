"""What VFIO, the VT-d driver, KVM and the VDCM state, and anybody about work, locks and memory."""

from protocol.facts.event import Event
from protocol.names import Gpasid, Incarnation, Name, Pasid


class NotificationHandled(Event, frozen=True, tag="notification.handled"):
    """subscriber: its atomic handler begins, as `task`."""

    notification: str
    pasid: Pasid
    incarnation: Incarnation
    task: str


class NotificationAnswered(Event, frozen=True, tag="notification.answered"):
    """subscriber: its handler `task` has returned."""

    notification: str
    pasid: Pasid
    incarnation: Incarnation
    task: str
    verdict: str


class SleepMay(Event, frozen=True, tag="sleep.may"):
    """any: `task` does something here that may sleep (`where`: drain, rcu, mutex.

    Invalidation...).
    """

    task: str
    where: str


class LockTaken(Event, frozen=True, tag="lock.taken"):
    """any: `task` holds the lock now; `kind` is mutex or spinlock."""

    lock: str
    kind: str
    task: str


class LockWaited(Event, frozen=True, tag="lock.waited"):
    """any: it is held; `task` queues for it."""

    lock: str
    kind: str
    task: str


class LockReleased(Event, frozen=True, tag="lock.released"):
    """any: `task` lets it go."""

    lock: str
    kind: str
    task: str


class WorkQueued(Event, frozen=True, tag="work.queued"):
    """owner: it queued `work` for the PASID on the ordered workqueue."""

    work: str
    pasid: Pasid
    incarnation: Incarnation


class WorkBegun(Event, frozen=True, tag="work.begun"):
    """owner: the work runs."""

    work: str
    pasid: Pasid
    incarnation: Incarnation


class WorkEnded(Event, frozen=True, tag="work.ended"):
    """owner: the work will touch nothing more; recorded no later than its put is sent."""

    work: str
    pasid: Pasid
    incarnation: Incarnation


class MemoryAllocated(Event, frozen=True, tag="memory.allocated"):
    """any: an object others may point to: `kind` svm, sdev, notifier, set, work, ioasid.

    `object` names it.
    """

    kind: str
    object: str


class MemoryUsed(Event, frozen=True, tag="memory.used"):
    """any: it is dereferenced; `ERR_PTR(errno)` is an error in the place of a pointer."""

    kind: str
    object: str


class MemoryFreed(Event, frozen=True, tag="memory.freed"):
    """any: it is freed."""

    kind: str
    object: str


class PasidLinked(Event, frozen=True, tag="pasid.linked"):
    """vfio: in the process's tree."""

    pasid: Pasid
    incarnation: Incarnation
    vm: Name


class PasidUnlinked(Event, frozen=True, tag="pasid.unlinked"):
    """vfio: out of it, before ioasid_free."""

    pasid: Pasid
    incarnation: Incarnation
    vm: Name


class BindRequested(Event, frozen=True, tag="bind.requested"):
    """vfio: BIND_PGTBL of a group begins, as `task`; `incarnation` is the requester's."""

    pasid: Pasid
    incarnation: Incarnation
    vm: Name
    group: int
    task: str


class BindAnswered(Event, frozen=True, tag="bind.answered"):
    """vfio: it returned; errno "" is success.  `rolled_back`: devices this call bound and undid."""

    pasid: Pasid
    incarnation: Incarnation
    vm: Name
    group: int
    task: str
    errno: str
    rolled_back: int


class UnbindRequested(Event, frozen=True, tag="unbind.requested"):
    """vfio: UNBIND_PGTBL; `linked`: the PASID is still in the process's tree; else it came late."""

    pasid: Pasid
    incarnation: Incarnation
    vm: Name
    group: int
    linked: bool


class FdsReleased(Event, frozen=True, tag="fds.released"):
    """vfio, kvm, vdcm: the VM's files here are closed and all this actor held for it is put."""

    vm: Name


class SvmCreated(Event, frozen=True, tag="svm.created"):
    """driver: bookkeeping for a bound PASID exists (it holds a reference `svm`)."""

    pasid: Pasid
    incarnation: Incarnation
    vm: Name
    svm: int


class SvmFreed(Event, frozen=True, tag="svm.freed"):
    """driver: it is gone; recorded no later than the reference's put is sent."""

    pasid: Pasid
    incarnation: Incarnation
    svm: int


class DeviceBound(Event, frozen=True, tag="device.bound"):
    """driver: this bind made (device, PASID); `task` is the bind."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    vm: Name
    task: str


class DeviceUnbound(Event, frozen=True, tag="device.unbound"):
    """driver: (device, PASID) is unlinked and its teardown begins; `why` unbind, free, release.

    Rollback.
    """

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    vm: Name
    why: str
    task: str


class DeviceTornDown(Event, frozen=True, tag="device.torn_down"):
    """driver: (device, PASID) is cleared, flushed and drained."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation


class FlushRequested(Event, frozen=True, tag="flush.requested"):
    """driver: an invalidation (pasid-cache, iotlb, device-tlb.

    Drain) for `device` goes to `unit`.
    """

    flush: str
    device: Name
    unit: Name
    pasid: Pasid
    incarnation: Incarnation


class PageReported(Event, frozen=True, tag="page.reported"):
    """driver: a request was handed to its consumer; `incarnation` is the request's."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int


class PageAnswered(Event, frozen=True, tag="page.answered"):
    """driver: it answers a page request with `code`.

    `incarnation` is the request's; `answerer` the incarnation of the svm that answered (0: answered
    INVALID because nobody is bound, or on teardown).
    """

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int
    code: int
    answerer: Incarnation


class TranslationWritten(Event, frozen=True, tag="translation.written"):
    """kvm: the VM's table maps `spid` to `pasid`, VALID."""

    vm: Name
    spid: Gpasid
    pasid: Pasid
    incarnation: Incarnation


class TranslationCleared(Event, frozen=True, tag="translation.cleared"):
    """kvm: it does not any more, and no vCPU is between reading it and issuing a command."""

    vm: Name
    spid: Gpasid
    pasid: Pasid
    incarnation: Incarnation


class VmEntryBlocked(Event, frozen=True, tag="vm-entry.blocked"):
    """kvm: vCPUs are kicked out and stay out."""

    vm: Name


class VmEntryLifted(Event, frozen=True, tag="vm-entry.lifted"):
    """kvm: they may enter again."""

    vm: Name


class EnqcmdIssued(Event, frozen=True, tag="enqcmd.issued"):
    """kvm (the CPU): a vCPU read the entry and its command is on its way to the device."""

    vm: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation


class EnqcmdRetired(Event, frozen=True, tag="enqcmd.retired"):
    """kvm (the CPU): the device has accepted or refused it."""

    vm: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation


class SlotProgrammed(Event, frozen=True, tag="slot.programmed"):
    """vdcm: a PASID slot (`wq`, `ims`, or `swq`.

    The right to submit on the shared queue) is in use.
    """

    vm: Name
    device: Name
    slot: str
    pasid: Pasid
    incarnation: Incarnation


class SlotCleared(Event, frozen=True, tag="slot.cleared"):
    """vdcm: the hardware behind the slot is clean; recorded no later than its put is sent."""

    vm: Name
    device: Name
    slot: str
    pasid: Pasid
    incarnation: Incarnation


class MsrLoaded(Event, frozen=True, tag="msr.loaded"):
    """cpu: IA32_PASID of `cpu` is valid with the host PASID."""

    cpu: Name
    pasid: Pasid
    incarnation: Incarnation


class MsrCleared(Event, frozen=True, tag="msr.cleared"):
    """cpu: it is not any more; `why`: the driver's `unbind`, or the task's `exit`."""

    cpu: Name
    pasid: Pasid
    incarnation: Incarnation
    why: str = "unbind"


class DomainBound(Event, frozen=True, tag="domain.bound"):
    """driver: a bind through the aux domain of the mdev `domain` holds on (device, PASID).

    The entry points to the second level of `second_level`: there is room for one.
    """

    domain: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    vm: Name
    second_level: Name


class DomainUnbound(Event, frozen=True, tag="domain.unbound"):
    """driver: an unbind through the mdev `domain` has taken effect on (device, PASID)."""

    domain: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation


class DomainFreed(Event, frozen=True, tag="domain.freed"):
    """driver: the mdev's aux domain is off the device, and its second level may be freed."""

    domain: Name
    device: Name
    vm: Name


class WorkLinedUp(Event, frozen=True, tag="work.lined_up"):
    """workqueue: `owner`'s work is the last in the queue."""

    owner: Name
    work: str
    pasid: Pasid
    incarnation: Incarnation


class WorkDue(Event, frozen=True, tag="work.due"):
    """workqueue: the turn of `owner`'s work has come, and it leaves the queue."""

    owner: Name
    work: str
    pasid: Pasid
    incarnation: Incarnation


class WorkFinished(Event, frozen=True, tag="work.finished"):
    """workqueue: `owner` has said that its work is through."""

    owner: Name
    work: str
    pasid: Pasid
    incarnation: Incarnation


class PageWithheld(Event, frozen=True, tag="page.withheld"):
    """guest: a bad one leaves a page request that it was handed without an answer."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    group: int
