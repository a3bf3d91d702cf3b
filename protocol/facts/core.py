"""What the IOASID core states."""

from protocol.facts.event import Event
from protocol.names import INVALID_PASID, Gpasid, Incarnation, Name, Pasid


class PasidAllocated(Event, frozen=True, tag="pasid.allocated"):
    """core: FREE -> IDLE, a new incarnation; `set_count` PASIDs in the set with this one."""

    pasid: Pasid
    incarnation: Incarnation
    set: int
    token: Name
    set_count: int


class FreeRequested(Event, frozen=True, tag="pasid.free_requested"):
    """core: ioasid_free arrived.

    `effective`: it was the owner's and not pending.  `state`: before.
    """

    pasid: Pasid
    incarnation: Incarnation
    set: int
    by: Name
    effective: bool
    state: str


class FreeAnswered(Event, frozen=True, tag="pasid.free_answered"):
    """core: ioasid_free returned to `by`, with `ok` (it must)."""

    pasid: Pasid
    incarnation: Incarnation
    by: Name
    ok: bool = True


class StateChanged(Event, frozen=True, tag="state.changed"):
    """core: a move of the life-cycle table; `refs` after it."""

    pasid: Pasid
    incarnation: Incarnation
    before: str
    after: str
    refs: int


class PasidReclaimed(Event, frozen=True, tag="pasid.reclaimed"):
    """core: the number is back in the pool.  What the core holds of it at that moment, as it is."""

    pasid: Pasid
    incarnation: Incarnation
    set: int
    refs: int
    holders: tuple[str, ...]
    spid: Gpasid
    data: int
    set_count: int


class ReferenceTaken(Event, frozen=True, tag="reference.taken"):
    """core: `holder` (actor:reason) got one.

    `token` is the mm on whose behalf ("" if unchecked).
    """

    pasid: Pasid
    incarnation: Incarnation
    holder: str
    refs: int
    state: str
    token: Name = ""


class ReferenceDropped(Event, frozen=True, tag="reference.dropped"):
    """core: `holder` put one (or its owner's reference went with free)."""

    pasid: Pasid
    incarnation: Incarnation
    holder: str
    refs: int


class DataAttached(Event, frozen=True, tag="data.attached"):
    """core: private pointer `data` stored; `before` is what was there."""

    pasid: Pasid
    incarnation: Incarnation
    data: int
    before: int


class DataDetached(Event, frozen=True, tag="data.detached"):
    """core: private pointer to NULL."""

    pasid: Pasid
    incarnation: Incarnation
    data: int


class SpidAttached(Event, frozen=True, tag="spid.attached"):
    """core: `spid` stands for the PASID in set `set`."""

    pasid: Pasid
    incarnation: Incarnation
    set: int
    spid: Gpasid
    state: str


class SpidDetached(Event, frozen=True, tag="spid.detached"):
    """core: it does not any more."""

    pasid: Pasid
    incarnation: Incarnation
    set: int
    spid: Gpasid


class SetAllocated(Event, frozen=True, tag="set.allocated"):
    """core: `quota` taken from what is available; `available` and `reserved` after it."""

    set: int
    token: Name
    quota: int
    capacity: int
    available: int
    reserved: int


class SetFreed(Event, frozen=True, tag="set.freed"):
    """core: the set is gone, its quota returned."""

    set: int
    token: Name
    quota: int
    capacity: int
    available: int
    reserved: int


class CapacityChanged(Event, frozen=True, tag="capacity.changed"):
    """core: install, reserve or cancel."""

    capacity: int
    available: int
    reserved: int


class NotifierRegistered(Event, frozen=True, tag="notifier.registered"):
    """core: a block of `subscriber` for `token` ("" global); `active`, else pending."""

    subscriber: Name
    token: Name
    active: bool


class NotifierUnregistered(Event, frozen=True, tag="notifier.unregistered"):
    """core: the block is off every list."""

    subscriber: Name
    token: Name


class NotificationSent(Event, frozen=True, tag="notification.sent"):
    """core: the notification of one transition begins, once, however many subscribers.

    `notification`, here and in the facts below, is ALLOC, FREE, BIND or UNBIND.
    """

    notification: str
    pasid: Pasid
    incarnation: Incarnation
    set: int
    token: Name
    spid: Gpasid = INVALID_PASID


class SubscriberCalled(Event, frozen=True, tag="subscriber.called"):
    """core: the notification goes to this subscriber's block now."""

    notification: str
    pasid: Pasid
    incarnation: Incarnation
    subscriber: Name
    token: Name
    priority: int


class SubscriberAnswered(Event, frozen=True, tag="subscriber.answered"):
    """core: its verdict (BAD also for a lost one)."""

    notification: str
    pasid: Pasid
    incarnation: Incarnation
    subscriber: Name
    verdict: str
