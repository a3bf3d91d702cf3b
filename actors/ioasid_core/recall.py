"""What the core tells a subscriber that has lost its memory: all that is open between them (§1.11).

The ledger, the notifier blocks and the chains are the core's own, so it knows them; what it sent
to the subscriber before this answer is in it or was answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.ioasid_core.chain import NOTIFICATIONS
from actors.ioasid_core.state import Chain, find_life
from protocol.effects import Out
from protocol.messages import NotifyAlloc, NotifyBind, NotifyFree, NotifyUnbind
from protocol.messages.amnesia import HeldReference, RecallLedger, RecallLedgerGot
from protocol.names import NO_DATA, Name, Pasid

if TYPE_CHECKING:
    from actors.ioasid_core import IoasidCore


def on_recall_ledger(core: IoasidCore, recall: RecallLedger, sender: Name, out: Out) -> None:
    """Nothing changes by it."""
    mms = tuple(block.token for block in core.blocks if block.subscriber == sender)
    owed = tuple(
        notification(core, pasid, chain)
        for pasid, chain in enumerate(core.chains)
        if chain is not None and chain.subscriber == sender
    )
    out.send(sender, RecallLedgerGot(recall.call, held_by(core, sender), mms, owed))


def held_by(core: IoasidCore, actor: Name) -> tuple[HeldReference, ...]:
    """Its entries of the ledger, PASID by PASID."""
    prefix = f"{actor}:"
    return tuple(
        HeldReference(pasid, life.incarnation, entry.removeprefix(prefix), count)
        for pasid, life in enumerate(core.lives)
        if life is not None
        for entry, count in life.ledger.items()
        if entry.startswith(prefix)
    )


def notification(
    core: IoasidCore, pasid: Pasid, chain: Chain
) -> NotifyAlloc | NotifyFree | NotifyBind | NotifyUnbind:
    """What the subscriber was called with, and has not replied to."""
    life = find_life(core, pasid)
    data = NO_DATA if life is None else life.data
    kind = NOTIFICATIONS[chain.notice.transition]
    return kind(chain.call, pasid, chain.incarnation, chain.spid, chain.set, chain.token, data)
