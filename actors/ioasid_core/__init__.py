"""The IOASID core owns the PASID numbers, counts who holds each, and tells what becomes of them.

A number goes back to the pool when its owner has freed it and the last holder has put it; until
then it is FREE_PENDING and nobody else can get it.  Each message is one atomic handler, as under
the allocator's lock, but notification chains run between them and hold up nobody.

Kernel: drivers/iommu/ioasid.c of V4, 27 Feb 2021; sets as in DCP; known holes mended.  §2, §3.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self, assert_never

from actors.ioasid_core import alloc, chain, ioasid_set, ledger, notifiers, recall, spid
from actors.ioasid_core.inbox import Inbox
from actors.ioasid_core.pool import Numbers, numbers_to
from actors.ioasid_core.state import SITES, Block, Chain, IoasidSet, Life
from protocol.effects import Out, Site
from protocol.machine import Machine
from protocol.messages import (
    AllocPasid,
    AllocSet,
    AttachData,
    AttachSpid,
    CancelCapacity,
    DetachData,
    DetachSpid,
    FindBySpid,
    FindPasid,
    FreeAllInSet,
    FreePasid,
    FreeSet,
    GetIfOwned,
    GetPasid,
    HostLost,
    InstallCapacity,
    NotifyReply,
    PutPasid,
    QueueWork,
    RegisterNotifier,
    RegisterNotifierMm,
    ReserveCapacity,
    Start,
    UnregisterNotifier,
)
from protocol.messages.amnesia import RecallLedger
from protocol.names import PASID_COUNT, Call, Incarnation, Name, Pasid

__all__ = ["Inbox", "IoasidCore"]


@dataclass(slots=True)
class IoasidCore:
    """By PASID, `lives` has what is not FREE, `chains` of what somebody is being told.

    `numbers` finds the smallest that is FREE.  `blocks` are in order of registration; `calls` has
    the PASID of each notification that is out (0: `unused`); `bereft` are mms that lost somebody.
    """

    SITES: ClassVar[tuple[Site, ...]] = SITES
    LOSABLE: ClassVar[bool] = False
    RECALLS_NOT: ClassVar[str] = ""

    capacity: int
    available: int
    numbers: Numbers
    lives: list[Life | None]
    chains: list[Chain | None]
    reserved: int = 0
    installed: bool = False
    incarnations: Incarnation = 0
    sets: dict[int, IoasidSet] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    calls: list[Pasid] = field(default_factory=list)
    lost: list[Name] = field(default_factory=list)
    bereft: list[Name] = field(default_factory=list)
    unused: list[Call] = field(default_factory=list)

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """A pool of the machine's size with nothing taken."""
        last = min(machine.pasids, PASID_COUNT - 1)
        lives: list[Life | None] = [None] * (last + 1)
        chains: list[Chain | None] = [None] * (last + 1)
        return cls(machine.pasids, machine.pasids, numbers_to(last), lives, chains)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """The core's table of contents, the frequent ones first."""
        match message:
            case NotifyReply():
                self.on_notify_reply(message, sender, out)
            case PutPasid():
                self.on_put_pasid(message, sender, out)
            case GetPasid():
                self.on_get_pasid(message, sender, out)
            case AllocPasid():
                self.on_alloc_pasid(message, sender, out)
            case FreePasid():
                self.on_free_pasid(message, sender, out)
            case GetIfOwned():
                self.on_get_if_owned(message, sender, out)
            case FindPasid():
                self.on_find_pasid(message, sender, out)
            case FindBySpid():
                self.on_find_by_spid(message, sender, out)
            case FreeAllInSet():
                self.on_free_all_in_set(message, sender, out)
            case AttachData():
                self.on_attach_data(message, sender, out)
            case DetachData():
                self.on_detach_data(message, sender, out)
            case AttachSpid():
                self.on_attach_spid(message, sender, out)
            case DetachSpid():
                self.on_detach_spid(message, sender, out)
            case QueueWork():
                self.on_queue_work(message, sender, out)
            case RegisterNotifier():
                self.on_register_notifier(message, sender, out)
            case RegisterNotifierMm():
                self.on_register_notifier_mm(message, sender, out)
            case UnregisterNotifier():
                self.on_unregister_notifier(message, sender, out)
            case AllocSet():
                self.on_alloc_set(message, sender, out)
            case FreeSet():
                self.on_free_set(message, sender, out)
            case InstallCapacity():
                self.on_install_capacity(message, sender, out)
            case ReserveCapacity():
                self.on_reserve_capacity(message, sender, out)
            case CancelCapacity():
                self.on_cancel_capacity(message, sender, out)
            case RecallLedger():
                recall.on_recall_ledger(self, message, sender, out)
            case Start():
                pass  # Others come to the core; it has nobody to go to.
            case HostLost():
                self.on_host_lost(message, out)
            case _:
                assert_never(message)

    # The modules' rules as methods: a revision or a defect can override any one of them.
    on_alloc_pasid = alloc.on_alloc_pasid
    number_for = alloc.number_for
    refuse_alloc = alloc.refuse_alloc
    allocate = alloc.allocate
    on_free_pasid = alloc.on_free_pasid
    on_free_all_in_set = alloc.on_free_all_in_set
    reply = alloc.reply
    free = alloc.free
    free_returns = alloc.free_returns
    may_free = alloc.may_free
    let_go = alloc.let_go
    change_state = alloc.change_state
    reclaim = alloc.reclaim
    on_get_pasid = ledger.on_get_pasid
    get_refusal = ledger.get_refusal
    on_get_if_owned = ledger.on_get_if_owned
    owner_refusal = ledger.owner_refusal
    may_get = ledger.may_get
    take = ledger.take
    on_put_pasid = ledger.on_put_pasid
    entry_to_put = ledger.entry_to_put
    drop = ledger.drop
    on_find_pasid = ledger.on_find_pasid
    on_attach_spid = spid.on_attach_spid
    attach_spid_refusal = spid.attach_spid_refusal
    may_attach_spid = spid.may_attach_spid
    may_bind = spid.may_bind
    on_detach_spid = spid.on_detach_spid
    clear_spid = spid.clear_spid
    on_find_by_spid = spid.on_find_by_spid
    may_find = spid.may_find
    on_attach_data = spid.on_attach_data
    may_attach_data = spid.may_attach_data
    on_detach_data = spid.on_detach_data
    on_register_notifier = notifiers.on_register_notifier
    on_register_notifier_mm = notifiers.on_register_notifier_mm
    register_refusal = notifiers.register_refusal
    on_unregister_notifier = notifiers.on_unregister_notifier
    on_host_lost = notifiers.on_host_lost
    move_blocks = notifiers.move_blocks
    hears = notifiers.hears
    rank = notifiers.rank
    on_queue_work = notifiers.on_queue_work
    notify = chain.notify
    lets_in = chain.lets_in
    told_spid = chain.told_spid
    on_notify_reply = chain.on_notify_reply
    answered = chain.answered
    stops_chain = chain.stops_chain
    chain_done = chain.chain_done
    end_chain = chain.end_chain
    on_alloc_set = ioasid_set.on_alloc_set
    on_free_set = ioasid_set.on_free_set
    set_goes = ioasid_set.set_goes
    drop_set = ioasid_set.drop_set
    on_install_capacity = ioasid_set.on_install_capacity
    on_reserve_capacity = ioasid_set.on_reserve_capacity
    on_cancel_capacity = ioasid_set.on_cancel_capacity
