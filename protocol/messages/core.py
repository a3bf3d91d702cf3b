"""What the IOASID core is asked, what it notifies, and the work it queues (§3).

Source: include/linux/ioasid.h and Documentation/driver-api/ioasid.rst of "[PATCH V4 00/18]".
`reason` names the holder together with the sender: one reference of `vm1.kvm` for `translation`
and one of `vdcm.dsa0` for `wq` are different entries of the ledger (§3.4).
"""

from enum import Enum, IntEnum

from protocol.messages.common import Message
from protocol.names import (
    INVALID_PASID,
    NO_DATA,
    NO_SET,
    Call,
    Gpasid,
    Incarnation,
    Name,
    Pasid,
)


class SetKind(Enum):
    """IOASID_SET_TYPE_NULL and _MM."""

    NULL = "null"
    MM = "mm"


class AllocSet(Message, frozen=True, tag=True):
    """ioasid_set_alloc: -> AllocSetGot, or EINVAL, ENOSPC, EEXIST, ENOMEM.

    Quota 0: all that is left.
    """

    call: Call
    token: Name
    quota: int
    kind: SetKind = SetKind.MM


class AllocSetGot(Message, frozen=True, tag=True):
    """The new set's number, 1 or more."""

    call: Call
    set: int


class FreeSet(Message, frozen=True, tag=True):
    """ioasid_set_free: EINVAL unknown; EBUSY while it has PASIDs.

    Then it goes with its last one.
    """

    call: Call
    set: int


class InstallCapacity(Message, frozen=True, tag=True):
    """ioasid_install_capacity: once; a second call changes nothing (Done all the same)."""

    call: Call
    count: int


class ReserveCapacity(Message, frozen=True, tag=True):
    """ioasid_reserve_capacity: -> ReserveCapacityGot, or ENOSPC.

    Count 0: all that is available.
    """

    call: Call
    count: int


class ReserveCapacityGot(Message, frozen=True, tag=True):
    """How many were set aside."""

    call: Call
    count: int


class CancelCapacity(Message, frozen=True, tag=True):
    """ioasid_cancel_capacity: EINVAL if more would come back than the capacity."""

    call: Call
    count: int


class AllocPasid(Message, frozen=True, tag=True):
    """ioasid_alloc in [min, max]: -> AllocPasidGot, or ENOSPC.

    The caller holds one reference, `owner`.
    """

    call: Call
    set: int
    min: Pasid
    max: Pasid


class AllocPasidGot(Message, frozen=True, tag=True):
    """A PASID, IDLE, and the ghost of its new life."""

    call: Call
    pasid: Pasid
    incarnation: Incarnation


class FreePasid(Message, frozen=True, tag=True):
    """ioasid_free: always Done, at once (N18).

    Unknown, not owned or already pending: no effect.
    """

    call: Call
    set: int
    pasid: Pasid
    incarnation: Incarnation


class FreeAllInSet(Message, frozen=True, tag=True):
    """ioasid_free_all_in_set: as FreePasid for each member.  Always Done, at once."""

    call: Call
    set: int


class GetPasid(Message, frozen=True, tag=True):
    """ioasid_get: EINVAL unknown, EBUSY pending, EACCES wrong set (NO_SET skips that check)."""

    call: Call
    set: int
    pasid: Pasid
    incarnation: Incarnation
    reason: str


class GetIfOwned(Message, frozen=True, tag=True):
    """ioasid_get_if_owned: ENOENT unknown, EINVAL not an MM set, EPERM not `token`'s.

    EBUSY pending.
    """

    call: Call
    token: Name
    pasid: Pasid
    incarnation: Incarnation
    reason: str


class PutPasid(Message, frozen=True, tag=True):
    """ioasid_put of the reference (sender, reason): -> PutPasidGot.  None there: no effect."""

    call: Call
    pasid: Pasid
    incarnation: Incarnation
    reason: str


class PutPasidGot(Message, frozen=True, tag=True):
    """True only if this put reclaimed the PASID."""

    call: Call
    reclaimed: bool


class AttachData(Message, frozen=True, tag=True):
    """ioasid_attach_data: private pointer `data` (not NO_DATA); ENOENT unknown, EBUSY occupied."""

    call: Call
    pasid: Pasid
    incarnation: Incarnation
    data: int


class DetachData(Message, frozen=True, tag=True):
    """ioasid_detach_data: private pointer to NULL; ENOENT unknown.  The caller sleeps (RCU)."""

    call: Call
    pasid: Pasid
    incarnation: Incarnation


class AttachSpid(Message, frozen=True, tag=True):
    """ioasid_attach_spid: BIND to the set; EINVAL spid invalid or used, ENOENT, EBUSY pending.

    ENODEV, and nobody is told, where a subscriber of the mm was lost: none would clean up (§1.9).
    ENOMEM when a subscriber answered BAD: the SPID stays attached, and the caller undoes it by
    DetachSpid, so that BIND and UNBIND stay paired (mends S41; S10, S24: the state is checked).
    """

    call: Call
    pasid: Pasid
    incarnation: Incarnation
    spid: Gpasid


class DetachSpid(Message, frozen=True, tag=True):
    """ioasid_detach_spid: UNBIND to the set, then the SPID is cleared.  None attached: Done."""

    call: Call
    pasid: Pasid
    incarnation: Incarnation


class FindPasid(Message, frozen=True, tag=True):
    """ioasid_find: -> FindPasidGot, or ENOENT, EACCES (wrong set)."""

    call: Call
    set: int
    pasid: Pasid


class FindPasidGot(Message, frozen=True, tag=True):
    """The private data, NO_DATA if there is none."""

    call: Call
    data: int


class FindBySpid(Message, frozen=True, tag=True):
    """ioasid_find_by_spid(get=true) in the set of `token`: -> FindBySpidGot, or ENOENT.

    EBUSY pending.
    """

    call: Call
    token: Name
    spid: Gpasid
    reason: str


class FindBySpidGot(Message, frozen=True, tag=True):
    """The host PASID behind a guest PASID; the asker now holds a reference for its reason."""

    call: Call
    pasid: Pasid
    incarnation: Incarnation


class Priority(IntEnum):
    """Higher is called first: CPU, DEVICE, IOMMU, LAST, as v2 and v3 document it (mends S19).

    BIND goes in the opposite order: KVM lets the guest in when all others are ready for it.
    """

    LAST = 0
    IOMMU = 1
    DEVICE = 2
    CPU = 3


class RegisterNotifier(Message, frozen=True, tag=True):
    """ioasid_register_notifier: on the global chain (NO_SET) or a set's; EINVAL unknown set."""

    call: Call
    set: int
    priority: Priority


class RegisterNotifierMm(Message, frozen=True, tag=True):
    """ioasid_register_notifier_mm: pending until `mm` has a set; EBUSY duplicate or set not empty.

    ENOMEM.
    """

    call: Call
    mm: Name
    priority: Priority


class UnregisterNotifier(Message, frozen=True, tag=True):
    """Off the global chain (mm empty) or off the chain of `mm`, pending or active.  Always Done."""

    call: Call
    mm: Name


class Verdict(Enum):
    """NOTIFY_DONE (not mine), NOTIFY_OK (handled), NOTIFY_BAD (could not.

    Does not stop the chain).
    """

    DONE = "DONE"
    OK = "OK"
    BAD = "BAD"


class Notification(Message, frozen=True, tag=True):
    """What every notification carries, so that nobody need look anything up (review of v1 08/10).

    `token` is the owning set's mm; `data` the private pointer at the instant of the call.
    core -> subscriber; answered by NotifyReply.
    """

    call: Call
    pasid: Pasid
    incarnation: Incarnation
    spid: Gpasid = INVALID_PASID
    set: int = NO_SET
    token: Name = ""
    data: int = NO_DATA


class NotifyAlloc(Notification, frozen=True, tag=True):
    """IOASID_NOTIFY_ALLOC, set scope."""


class NotifyFree(Notification, frozen=True, tag=True):
    """IOASID_NOTIFY_FREE, global and set scope: it is FREE_PENDING and you may hold it."""


class NotifyBind(Notification, frozen=True, tag=True):
    """IOASID_NOTIFY_BIND, set scope: `spid` now stands for `pasid`."""


class NotifyUnbind(Notification, frozen=True, tag=True):
    """IOASID_NOTIFY_UNBIND, set scope: `spid` stops standing for `pasid`."""


class NotifyReply(Message, frozen=True, tag=True):
    """subscriber -> core: its handler has returned."""

    call: Call
    verdict: Verdict


class QueueWork(Message, frozen=True, tag=True):
    """ioasid_queue_work, any actor -> core -> workqueue.  Already queued: no effect.

    `work` names the item within its sender, who is its `owner` once the core has handed it on; it
    comes back to him as RunWork when its turn is there.  Through the core, so that works stand in
    the order in which the chain's subscribers were called (mends S19).  Not answered.
    """

    work: str
    pasid: Pasid
    incarnation: Incarnation
    owner: Name = ""


class RunWork(Message, frozen=True, tag=True):
    """workqueue -> the owner of the item: run it; nothing else runs until WorkDone."""

    work: str
    pasid: Pasid
    incarnation: Incarnation


class WorkDone(Message, frozen=True, tag=True):
    """owner -> workqueue: the item is finished.  Not answered."""

    work: str
