"""The ordered workqueue: what an atomic notifier may not do itself, one item at a time.

A subscriber queues its cleanup here and gets it back when its turn has come; the next item runs
when it says that it is through.  So works never overlap, and run in the order of queueing (O14).

Kernel: ioasid_queue_work of drivers/iommu/ioasid.c, "[PATCH V4 13/18]", 27 Feb 2021.
§1.9, §4.4, §4.6.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self, TypeAlias, assert_never

from msgspec import Struct

from protocol.effects import Out, Site
from protocol.facts import WorkDue, WorkFinished, WorkLinedUp
from protocol.machine import Machine
from protocol.messages import HostLost, QueueWork, RunWork, Start, WorkDone
from protocol.names import Incarnation, Name, Pasid

Inbox: TypeAlias = QueueWork | WorkDone | Start | HostLost


class Item(Struct):
    """One piece of work, named by its owner."""

    owner: Name
    work: str
    pasid: Pasid
    incarnation: Incarnation


@dataclass(slots=True)
class OrderedWorkqueue:
    """`queued` has each work of an owner once, the oldest first; at most one is `running`.

    `lined_up` are the names of what is queued, so that a long queue need not be walked.
    """

    SITES: ClassVar[tuple[Site, ...]] = ()
    LOSABLE: ClassVar[bool] = False

    queued: list[Item] = field(default_factory=list)
    running: list[Item] = field(default_factory=list)
    lost: list[Name] = field(default_factory=list)
    lined_up: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """Empty."""
        return cls()

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """The workqueue's table of contents."""
        match message:
            case QueueWork():
                self.on_queue_work(message, out)
            case WorkDone():
                self.on_work_done(message, sender, out)
            case Start():
                pass  # Nothing is queued yet.
            case HostLost():
                self.on_host_lost(message, out)
            case _:
                assert_never(message)

    def on_queue_work(self, queue: QueueWork, out: Out) -> None:
        """Once until it runs; while it runs it may be queued for another time."""
        owner = queue.owner
        if owner in self.lost:
            return  # It was still under way when its owner died.
        if name_of(owner, queue.work) in self.lined_up:
            return  # It will run anyway.

        self.lined_up[name_of(owner, queue.work)] = None
        self.queued.append(Item(owner, queue.work, queue.pasid, queue.incarnation))
        out.record(WorkLinedUp(owner, queue.work, queue.pasid, queue.incarnation))
        self.run(out)

    def on_work_done(self, done: WorkDone, owner: Name, out: Out) -> None:
        """Through: the next one's turn."""
        item = find(self.running, owner, done.work)
        if item is None:
            return  # Its owner was lost, and it was given up then.

        self.running.remove(item)
        out.record(WorkFinished(owner, item.work, item.pasid, item.incarnation))
        self.run(out)

    def on_host_lost(self, lost: HostLost, out: Out) -> None:
        """Nobody is there to run its work, nor to say that it is through."""
        self.lost = sorted([*self.lost, lost.name])
        self.queued = [item for item in self.queued if item.owner != lost.name]
        self.lined_up = {name_of(item.owner, item.work): None for item in self.queued}
        self.running = [item for item in self.running if item.owner != lost.name]
        self.run(out)

    def run(self, out: Out) -> None:
        """Items begin as long as one may."""
        while self.queued and self.may_begin():
            item = self.queued.pop(self.turn(out))
            del self.lined_up[name_of(item.owner, item.work)]
            self.running.append(item)
            out.record(WorkDue(item.owner, item.work, item.pasid, item.incarnation))
            out.send(item.owner, RunWork(item.work, item.pasid, item.incarnation))

    def may_begin(self) -> bool:
        """One at a time."""
        return not self.running

    def turn(self, _out: Out) -> int:
        """The oldest goes first."""
        return 0


def name_of(owner: Name, work: str) -> str:
    """One name for each work of each owner."""
    return f"{owner}/{work}"


def find(items: list[Item], owner: Name, work: str) -> Item | None:
    """The owner's item of that name."""
    for item in items:
        if item.owner == owner and item.work == work:
            return item
    return None
