"""Notifier blocks: who wants to be told, of which mm, and when that is in force (§3.7).

Nothing is replayed, so a block for an mm must be there before the first PASID of its set.

Kernel: ioasid_register_notifier, ioasid_register_notifier_mm and ioasid_unregister_notifier of
drivers/iommu/ioasid.c, "[PATCH V4 00/18]".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.ioasid_core.ioasid_set import set_of
from actors.ioasid_core.state import (
    REGISTER_NOMEM,
    Block,
    Chain,
    Transition,
    block_object,
)
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import (
    MemoryAllocated,
    MemoryFreed,
    NotifierRegistered,
    NotifierUnregistered,
)
from protocol.messages import (
    Done,
    HostLost,
    QueueWork,
    Refused,
    RegisterNotifier,
    RegisterNotifierMm,
    UnregisterNotifier,
    Verdict,
)
from protocol.names import NO_SET, WORKQUEUE, Name

if TYPE_CHECKING:
    from actors.ioasid_core import IoasidCore


def on_register_notifier(
    core: IoasidCore, register: RegisterNotifier, sender: Name, out: Out
) -> None:
    """On the global chain or a set's; a second time it changes nothing.

    A set without a token is refused: there would be no name by which to unregister.
    """
    ioasids = core.sets.get(register.set)
    token = "" if ioasids is None else ioasids.token
    if register.set != NO_SET and not token:
        out.send(sender, Refused(register.call, Errno.EINVAL))
        return

    if block_of(core, sender, token) is None:
        add_block(core, Block(sender, token, register.priority, register.set), out)
    out.send(sender, Done(register.call))


def on_register_notifier_mm(
    core: IoasidCore, register: RegisterNotifierMm, sender: Name, out: Out
) -> None:
    """Pending until the mm has a set."""
    errno = core.register_refusal(register, sender) or out.may_fail(REGISTER_NOMEM)
    if errno is not None:
        out.send(sender, Refused(register.call, errno))
        return

    number = set_of(core, register.mm)
    add_block(core, Block(sender, register.mm, register.priority, number), out)
    out.send(sender, Done(register.call))


def register_refusal(core: IoasidCore, register: RegisterNotifierMm, sender: Name) -> Errno | None:
    """EINVAL no mm; EBUSY a second block, or PASIDs that it was not told of (O16)."""
    if not register.mm:
        return Errno.EINVAL
    if block_of(core, sender, register.mm) is not None:
        return Errno.EBUSY
    ioasids = core.sets.get(set_of(core, register.mm))
    return Errno.EBUSY if ioasids is not None and ioasids.count else None


def on_unregister_notifier(
    core: IoasidCore, unregister: UnregisterNotifier, sender: Name, out: Out
) -> None:
    """Off its list, and told of nothing more, not even by a chain that is under way."""
    block = block_of(core, sender, unregister.mm)
    if block is not None:
        remove_block(core, block, out)
    out.send(sender, Done(unregister.call))


def on_host_lost(core: IoasidCore, lost: HostLost, out: Out) -> None:
    """BAD from the lost, who is called no more; what it holds is held for ever (§1.9).

    Nobody knows whether its hardware is clean, so its references stay in the ledger.
    """
    core.lost = sorted([*core.lost, lost.name])
    for block in [block for block in core.blocks if block.subscriber == lost.name]:
        remove_block(core, block, out)
        core.bereft = sorted({*core.bereft, block.token})
    for pasid, chain in enumerate(core.chains):
        if chain is None:
            continue
        if chain.notice.transition is Transition.BIND and owes(chain, lost.name):
            chain.bad = True
            chain.left.clear()  # Nobody may let the guest in now.
        if chain.subscriber == lost.name:
            core.answered(pasid, chain, Verdict.BAD, out)


def owes(chain: Chain, subscriber: Name) -> bool:
    """Whether the chain has not had the subscriber's verdict."""
    called = chain.subscriber == subscriber
    return not chain.over and (called or any(name == subscriber for name, _ in chain.left))


def add_block(core: IoasidCore, block: Block, out: Out) -> None:
    """The end of the list: equal priorities are called in order of registration."""
    if block.subscriber in core.lost:
        return  # Its registration was still under way; nobody is there to be called.

    core.blocks.append(block)
    active = not block.token or block.set != NO_SET
    out.record(MemoryAllocated("notifier", block_object(block.subscriber, block.token)))
    out.record(NotifierRegistered(block.subscriber, block.token, active))


def remove_block(core: IoasidCore, block: Block, out: Out) -> None:
    """Gone from whatever list it was on."""
    core.blocks.remove(block)
    out.record(NotifierUnregistered(block.subscriber, block.token))
    out.record(MemoryFreed("notifier", block_object(block.subscriber, block.token)))


def move_blocks(core: IoasidCore, token: Name, number: int) -> None:
    """The blocks of an mm go to the chain of its new set, or back to waiting for one (NO_SET)."""
    for block in core.blocks:
        if block.token == token:
            block.set = number


def block_of(core: IoasidCore, subscriber: Name, token: Name) -> Block | None:
    """The block of a subscriber for an mm ("" the global chain)."""
    for block in core.blocks:
        if block.subscriber == subscriber and block.token == token:
            return block
    return None


def hears(_core: IoasidCore, block: Block, transition: Transition, number: int) -> bool:
    """The set's own subscribers hear everything, the global chain's only FREE (§3.5)."""
    if block.token:
        return block.set == number
    return transition is Transition.FREE


def rank(_core: IoasidCore, block: Block) -> tuple[int, ...]:
    """Who is called first: one order over both chains (mends S19)."""
    return (-block.priority,)


def on_queue_work(_core: IoasidCore, queue: QueueWork, owner: Name, out: Out) -> None:
    """On to the ordered queue: it and the chains come through here in one order."""
    out.send(WORKQUEUE, QueueWork(queue.work, queue.pasid, queue.incarnation, owner))
