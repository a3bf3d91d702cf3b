"""Links: every message exactly once and in order, over calls that promise neither.

A link goes from one actor to another.  Its k-th message has sequence k, for ever: a host that comes
back rebuilds what it had sent by re-running its actors over its journal, its peers tell how far
they have received, and only the rest is sent again.  Nothing here knows Ray, a clock or a file.

Requests are bounded by a credit window per link; answers are outside it.  A credit comes back when
the receiver has journalled the request, not when it is answered, so a cycle of requests cannot
wait for itself.
"""

from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Final

from msgspec import Struct

from protocol.errors import ClusterError, IncompleteError
from protocol.messages import (
    AllocPasidGot,
    AllocSetGot,
    AnyMessage,
    BindMmGot,
    CustomAllocGot,
    DescriptorDone,
    Done,
    DrainRequestsGot,
    EnqcmdWriteGot,
    FindBySpidGot,
    FindPasidGot,
    GuestEnqcmdGot,
    NotifyReply,
    PageGroupResponse,
    PinMmGot,
    PutPasidGot,
    ReadPrqGot,
    Refused,
    RequestPasidGot,
    ReserveCapacityGot,
    Translated,
    VmExit,
    WorkDone,
)
from protocol.messages.accelerators import MmPasidGot, OpenDeviceGot
from protocol.messages.address_spaces import RespondPageRequest
from protocol.messages.amnesia import RecallCallsGot, RecallLedgerGot
from protocol.messages.guests import FaultsTaken
from protocol.messages.iommu_core import AllocGlobalPasidGot, AttachHandleGot
from protocol.messages.iommufd import DomainGot, FaultsGot, MockDeviceGot, ObjectGot, PtGot
from protocol.messages.probing import HwInfoGot
from protocol.messages.sva import (
    DomainAllocSvaGot,
    SvaBindDeviceGot,
    SvaFindGot,
    SvaGetPasidGot,
)
from protocol.messages.vfio_cdev import CdevGot
from protocol.names import Name

REQUESTS_MAX: Final = 256
"""Requests of one link that may be on their way: sent, and not yet journalled by the receiver."""
WAITING_MAX: Final = 4_000_000
"""Messages of one link that a host keeps until they are acknowledged; a recovery needs them all."""
RESEND_NS: Final = 500_000_000
RESEND_NS_MAX: Final = 4_000_000_000

ANSWERS: Final = (
    Done,
    Refused,
    AllocPasidGot,
    AllocSetGot,
    BindMmGot,
    CustomAllocGot,
    DescriptorDone,
    DrainRequestsGot,
    EnqcmdWriteGot,
    FindBySpidGot,
    FindPasidGot,
    GuestEnqcmdGot,
    NotifyReply,
    PageGroupResponse,
    RespondPageRequest,
    PinMmGot,
    PutPasidGot,
    ReadPrqGot,
    RequestPasidGot,
    ReserveCapacityGot,
    Translated,
    VmExit,
    WorkDone,
    AllocGlobalPasidGot,
    AttachHandleGot,
    DomainAllocSvaGot,
    DomainGot,
    FaultsGot,
    FaultsTaken,
    MockDeviceGot,
    ObjectGot,
    PtGot,
    OpenDeviceGot,
    MmPasidGot,
    SvaBindDeviceGot,
    SvaFindGot,
    SvaGetPasidGot,
    HwInfoGot,
    CdevGot,
    RecallLedgerGot,
    RecallCallsGot,
)
"""What answers something: outside the credit window."""


class Letter(Struct, frozen=True):
    """A message of a link: the k-th effect of input n (`id`), and what made its sender send it."""

    id: tuple[int, int]
    cause: tuple[Name, int, int]
    message: AnyMessage


class Outgoing:
    """A link's sending end: what has not been acknowledged, oldest first."""

    __slots__ = ("first", "known", "patience_ns", "requests", "sent", "touched_ns", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Letter] = deque()
        self.first = 1  # The sequence of waiting[0].
        self.sent = 0  # The last sequence that has left.
        self.requests = 0  # Requests that have left and are not acknowledged.
        self.known = True  # False from recovery until the receiver has said how far it is.
        self.touched_ns = 0
        self.patience_ns = RESEND_NS

    @property
    def last(self) -> int:
        """The sequence of the newest message, sent or not."""
        return self.first + len(self.waiting) - 1

    @property
    def acknowledged(self) -> int:
        """The newest that the receiver has said to have."""
        return self.first - 1

    def push(self, letter: Letter) -> int:
        """One more message; its sequence."""
        if len(self.waiting) >= WAITING_MAX:
            raise ClusterError(f"{WAITING_MAX} messages of one link wait to be acknowledged")
        self.waiting.append(letter)
        return self.last

    def leave(self, now_ns: int) -> Iterator[tuple[int, Letter]]:
        """What may leave now, in order; it counts as sent."""
        while self.known and self.sent < self.last:
            letter = self.waiting[self.sent + 1 - self.first]
            if not isinstance(letter.message, ANSWERS):
                if self.requests >= REQUESTS_MAX:
                    return
                self.requests += 1
            self.sent += 1
            self.touched_ns = now_ns
            yield self.sent, letter

    def acknowledge(self, received: int) -> None:
        """The receiver has journalled everything up to `received`."""
        if received > self.last:
            raise IncompleteError(
                f"the receiver has message {received} of a link on which {self.last} were sent:"
                " this journal has lost its end"
            )
        if received >= self.first:
            self.patience_ns = RESEND_NS
        while self.first <= received:
            letter = self.waiting.popleft()
            if self.first <= self.sent and not isinstance(letter.message, ANSWERS):
                self.requests -= 1
            self.first += 1
        self.sent = max(self.sent, received)

    def resume(self, received: int) -> None:
        """The receiver has `received` and nothing behind it: go on from there."""
        if received < self.acknowledged:
            raise IncompleteError(
                f"the receiver has message {received} of a link,"
                f" and had acknowledged {self.acknowledged}: its journal has lost its end"
            )
        self.acknowledge(received)
        self.known = True
        self._go_back()

    def overdue(self, now_ns: int) -> bool:
        """Whether an acknowledgement is late; then all that is unacknowledged leaves again."""
        self.touched_ns = self.touched_ns or now_ns  # It left before the first tick.
        if self.sent < self.first or now_ns - self.touched_ns < self.patience_ns:
            return False
        self.patience_ns = min(2 * self.patience_ns, RESEND_NS_MAX)
        self._go_back()
        return True

    def hasten(self) -> None:
        """The way is free again: what is unacknowledged need not wait until it is overdue."""
        self.patience_ns = RESEND_NS
        if self.known:
            self._go_back()

    def _go_back(self) -> None:
        self.sent = self.first - 1
        self.requests = 0


class Arrival(Enum):
    """What a frame is to its receiver."""

    NEXT = "next"
    DUPLICATE = "duplicate"
    GAP = "gap"


class Incoming:
    """A link's receiving end: how far it has come, and how far the sender was told."""

    __slots__ = ("asked", "received", "told")

    def __init__(self, received: int = 0) -> None:
        self.received = received
        self.told = 0
        self.asked = 0  # The gap for which a resumption was asked: once is enough.

    def arrives(self, sequence: int) -> Arrival:
        """Take the next one; tell a duplicate and a gap from it."""
        if sequence <= self.received:
            self.told = min(self.told, self.received - 1)  # It asks because it was not told.
            return Arrival.DUPLICATE
        if sequence > self.received + 1:
            return Arrival.GAP
        self.received = sequence
        return Arrival.NEXT

    def asks(self) -> bool:
        """Whether this gap is a new one, so that the sender must be told to go back."""
        new = self.asked != self.received + 1
        self.asked = self.received + 1
        return new

    @property
    def owed(self) -> int:
        """How many messages have been taken and not acknowledged."""
        return self.received - self.told


class Epochs:
    """The newest incarnation of each host that was heard of; older ones are not listened to."""

    def __init__(self) -> None:
        self.newest: dict[Name, int] = {}

    def admit(self, host: Name, epoch: int) -> bool:
        """Whether `epoch` of `host` is not older than what was heard before."""
        if epoch < self.newest.get(host, 0):
            return False
        self.newest[host] = epoch
        return True
