"""Works: what FREE and UNBIND must do to the hardware, and may not do themselves (§4.6).

A notification handler is atomic and draining sleeps.  A slot that is dying has one work, on its way
to the ordered workqueue, in it, or running; if somebody else clears the slot first, the work is
over there and then, and its turn changes nothing, unless the slot dies again before it comes:
then the same place in the queue serves once more, since after FREE the driver's work stands behind
it (O1, S19).

Kernel: drivers/vfio/mdev/idxd/mdev.c of the Intel data-centre kernel ("DCP").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.vdcm import slots
from actors.vdcm.state import Clear, Dying, Slot, Why, Work, WorkState, key_of
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.facts import (
    MemoryAllocated,
    MemoryFreed,
    MemoryUsed,
    WorkBegun,
    WorkEnded,
    WorkQueued,
)
from protocol.messages import QueueWork, RunWork, TimerFired, WorkDone
from protocol.names import CORE, WORKQUEUE

if TYPE_CHECKING:
    from actors.vdcm import Vdcm

NO_MEMORY: Final = Site("vdcm.queue.nomem", Errno.ENOMEM)


def queue(vdcm: Vdcm, slot: Slot, out: Out) -> None:
    """Once, whatever else is notified until it has run."""
    work = vdcm.works.get(slot.work)
    if work is None:
        key = key_of(slot.vm, slot.kind, slot.pasid)
        vdcm.works[slot.work] = Work(key, slot.pasid, slot.incarnation)
        submit(vdcm, slot.work, out)
    elif work.state is WorkState.STALE:
        revive(vdcm, slot, work, out)


def revive(vdcm: Vdcm, slot: Slot, work: Work, out: Out) -> None:
    """There is something to do again: for its turn, or for the task of its turn that is in line."""
    work.pasid, work.incarnation = slot.pasid, slot.incarnation
    work.state = WorkState.QUEUED
    out.record(WorkQueued(slot.work, work.pasid, work.incarnation))
    for task in vdcm.tasks.values():
        if isinstance(task, Clear) and task.work == slot.work:
            work.state = WorkState.RUNNING
            task.abort = task.abort or slot.dying is Dying.FREE
            out.record(WorkBegun(slot.work, work.pasid, work.incarnation))


def submit(vdcm: Vdcm, name: str, out: Out) -> None:
    """Without memory for it now, later: nobody will notify again (mends S41)."""
    if out.may_fail(NO_MEMORY) is not None:
        out.set_timer(name)
        return

    work = vdcm.works[name]
    work.state = WorkState.QUEUED
    out.record(MemoryAllocated("work", f"{vdcm.name}/{name}"))
    out.record(WorkQueued(name, work.pasid, work.incarnation))
    out.send(CORE, QueueWork(name, work.pasid, work.incarnation))


def on_timer_fired(vdcm: Vdcm, fired: TimerFired, out: Out) -> None:
    """Try again, if nobody has cleared the slot meanwhile."""
    work = vdcm.works.get(fired.timer)
    if work is not None and work.state is WorkState.NO_MEMORY:
        submit(vdcm, fired.timer, out)


def end(vdcm: Vdcm, slot: Slot, out: Out) -> None:
    """The work for this slot will touch nothing more: it is done, or there is no need for it."""
    work = vdcm.works.get(slot.work)
    if work is None or work.state is WorkState.STALE:
        return
    if work.state is WorkState.NO_MEMORY:
        del vdcm.works[slot.work]
        return

    work.state = WorkState.STALE
    out.record(WorkEnded(slot.work, work.pasid, work.incarnation))


def on_run_work(vdcm: Vdcm, run: RunWork, out: Out) -> None:
    """Its turn on the ordered queue; the slot it may have to wait for."""
    work = vdcm.works.get(run.work)
    if work is None or work.state is WorkState.RUNNING:
        return  # A second copy: it is running, or through.

    out.record(MemoryUsed("work", f"{vdcm.name}/{run.work}"))
    if work.state is WorkState.STALE:
        finish(vdcm, run.work, out)
        return

    work.state = WorkState.RUNNING
    out.record(WorkBegun(run.work, work.pasid, work.incarnation))
    slot = vdcm.slots[work.slot]
    abort = slot.dying is Dying.FREE
    call = vdcm.begin(Clear(Why.WORK, slot.vm, [work.slot], abort, work=run.work))
    slots.take(vdcm, call, work.slot, out)


def finish(vdcm: Vdcm, name: str, out: Out) -> None:
    """The next one's turn.  A slot that began to die again meanwhile needs another."""
    work = vdcm.works.pop(name)
    out.record(MemoryFreed("work", f"{vdcm.name}/{name}"))
    out.send(WORKQUEUE, WorkDone(name))

    slot = vdcm.slots.get(work.slot)
    if slot is not None and slot.work == name and slot.dying is not Dying.NO:
        queue(vdcm, slot, out)
