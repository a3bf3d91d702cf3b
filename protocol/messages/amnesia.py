"""An actor has lost its memory: what it is told, what it asks, what its peers tell it (§1.11).

Source: domain reference of the IOASID era, 5.9; no kernel of 2020 restarts a subscriber alone.
"""

from msgspec import Struct

from protocol.messages.common import Message
from protocol.messages.core import NotifyAlloc, NotifyBind, NotifyFree, NotifyUnbind
from protocol.names import Call, Incarnation, Name, Pasid


class Forget(Message, frozen=True, tag=True):
    """supervisor -> one that has died and come back: all that was in its memory is gone.

    What hardware has, or reads from memory, is still there.  `lost` are those who will not come
    back, of whom it had heard.  Not answered.
    """

    lost: tuple[Name, ...] = ()


class RecallLedger(Message, frozen=True, tag=True):
    """subscriber -> core: what do I have with you?  -> RecallLedgerGot."""

    call: Call


class HeldReference(Struct, frozen=True, array_like=True, gc=False):
    """An entry of the ledger that is the asker's, for this reason."""

    pasid: Pasid
    incarnation: Incarnation
    reason: str
    count: int


class RecallLedgerGot(Message, frozen=True, tag=True):
    """What the asker holds, for which mms its notifiers are registered, what it has not replied to.

    Whatever else the core had sent before is an answer to, or in this; so it may be dropped.
    """

    call: Call
    references: tuple[HeldReference, ...]
    mms: tuple[Name, ...]
    owed: tuple[NotifyAlloc | NotifyFree | NotifyBind | NotifyUnbind, ...]


class RecallCalls(Message, frozen=True, tag=True):
    """KVM -> guest: which calls do you await of me?  -> RecallCallsGot, also when it has exited."""

    call: Call


class RecallCallsGot(Message, frozen=True, tag=True):
    """Their numbers, in order.  `exited`: QEMU has ended, and its files are closed or being so."""

    call: Call
    awaited: tuple[Call, ...]
    exited: bool


AmnesiaMessage = Forget | RecallLedger | RecallLedgerGot | RecallCalls | RecallCallsGot
"""All of them."""
