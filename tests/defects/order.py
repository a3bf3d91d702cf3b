"""Mistakes of order: each of these does all that it should, too early, too late or out of turn."""

from dataclasses import dataclass, field

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Block, Notice, Transition, life_of, owner_entry
from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Bind, Operation, Step
from actors.kvm import Inbox, Kvm
from actors.ordered_workqueue import OrderedWorkqueue
from actors.vdcm import Vdcm
from actors.vdcm.state import Slot, Work, key_of
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import ReferenceDropped
from protocol.lifecycle import Move, State
from protocol.messages import (
    Done,
    DrainRequestsGot,
    OpenVm,
    PageResponse,
    Priority,
    RegisterNotifierMm,
    TimerFired,
    Verdict,
    WriteEntry,
)
from protocol.names import Call, Gpasid, Name, Pasid

# --- The driver -----------------------------------------------------------------------------------


class SetsUpWhatItZeroes(IommuDriver):
    """R2.  The entry is zeroed by what sets one up, and that sets P last."""

    def zero_entry(self, task: Operation, out: Out) -> None:
        svm = self.svms[task.pasid]
        task.step = Step.ZERO_ENTRY
        life = (svm.pasid, svm.incarnation, svm.vm)
        write = WriteEntry(task.number, task.device, *life, table=0, did=0)
        out.send(self.unit_of(svm, task.device), write)


class DrainsBeforeItFlushes(IommuDriver):
    """O3.  The drain follows the entry at once, and the caches come after it."""

    def teardown_goes_on(self, task: Operation, out: Out) -> None:
        match task.step:
            case Step.CLEAR_PRESENT:
                self.begin_drain(task, out)
            case Step.ZERO_ENTRY:
                self.torn_down(task, out)
            case _:
                super().teardown_goes_on(task, out)

    def requests_drained(self, task: Operation, drained: DrainRequestsGot, out: Out) -> None:
        self.invalidate_pasid_cache(task, out)


class DrainsOnce(IommuDriver):
    """O4.  The drain does not look whether the ring had room all the time."""

    def requests_drained(self, task: Operation, drained: DrainRequestsGot, out: Out) -> None:
        super().requests_drained(task, DrainRequestsGot(drained.call, overflow=False), out)


class TellsBeforeTheEntry(IommuDriver):
    """O7, S9.  The SPID is attached, which sends BIND, and then the entry is written."""

    def write_entry(self, bind: Bind, out: Out) -> None:
        if bind.first and not self.svms[bind.pasid].has_spid:
            super().attach_spid(bind, out)
        else:
            super().write_entry(bind, out)

    def bind_goes_on(self, bind: Bind, out: Out) -> None:
        if bind.step is Step.ATTACH_SPID and bind.errno is None:
            self.svms[bind.pasid].has_spid = True
            self.write_entry(bind, out)
        else:
            super().bind_goes_on(bind, out)

    def attach_spid(self, bind: Bind, out: Out) -> None:
        self.finish(bind, out)


class TellsAtTheFirstUnbind(IommuDriver):
    """O8.  The SPID goes with the first device that is unbound, and not with the last."""

    def leave_svm(self, task: Operation, out: Out) -> None:
        svm = self.svms[task.pasid]
        if svm.devices and svm.has_spid:
            self.detach_spid(task, out)
        else:
            super().leave_svm(task, out)

    def teardown_goes_on(self, task: Operation, out: Out) -> None:
        svm = self.svms[task.pasid]
        if task.step is Step.DETACH_SPID and svm.devices:
            svm.has_spid = False
            self.finish(task, out)
        else:
            super().teardown_goes_on(task, out)


class LosesAnAnswer(IommuDriver):
    """L2.  The consumer's answer to a page request is noted, and goes to nobody."""

    def answer_page(self, request: PageResponse, out: Out) -> Errno | None:
        svm = self.svms.get(request.pasid)
        sdev = None if svm is None else svm.devices.get(request.device)
        if sdev is None or sdev.pending.pop(request.group, None) is None:
            return Errno.EINVAL
        return None


# --- The core and the workqueue -------------------------------------------------------------------


class TellsTheDriverBeforeTheDevice(IoasidCore):
    """O11, S19.  CPU, then IOMMU, then DEVICE, as the code of v2 to V4 had the numbers."""

    def rank(self, block: Block) -> tuple[int, ...]:
        return ((Priority.CPU, Priority.IOMMU, Priority.DEVICE).index(block.priority),)


class TellsBeforeItIsPending(IoasidCore):
    """O10.  FREE goes out, and the state follows."""

    def let_go(self, pasid: Pasid, out: Out) -> None:
        life = life_of(self, pasid)
        if not life.ledger:
            super().let_go(pasid, out)
            return
        entry = owner_entry(life.owner)
        life.owner = ""
        out.record(ReferenceDropped(pasid, life.incarnation, entry, life.refs))
        self.notify(pasid, Notice(Transition.FREE), out)
        assert self.change_state(pasid, Move.FREE, out) is State.FREE_PENDING


class RegistersLatecomers(IoasidCore):
    """O16, S23, one half.  Nobody looks whether the set has PASIDs already."""

    def register_refusal(self, register: RegisterNotifierMm, sender: Name) -> Errno | None:
        known = any((one.subscriber, one.token) == (sender, register.mm) for one in self.blocks)
        return Errno.EBUSY if known else None


class RunsTheYoungest(OrderedWorkqueue):
    """O14.  A stack is not a queue."""

    def turn(self, _out: Out) -> int:
        return len(self.queued) - 1


class RunsAllAtOnce(OrderedWorkqueue):
    """O14.  The system queue, as v2 and v3 had it."""

    def may_begin(self) -> bool:
        return True


# --- KVM and the VDCM -----------------------------------------------------------------------------


class LiftsBeforeThePut(Kvm):
    """O12.  The vCPUs are let in again as soon as the entry is clear."""

    def clear_entry(self, call: Call, spid: Gpasid, out: Out) -> None:
        super().clear_entry(call, spid, out)
        if self.blocks:
            super().lift(out)

    def lift(self, out: Out) -> None:
        """It is lifted already."""


class ClearsBeforeItUnregisters(Kvm):
    """O17.  On VM destroy the entries go, while a BIND may still come."""

    def on_release_fds(self, out: Out) -> None:
        for spid in sorted(self.table):
            nobody = 1000 + spid  # The answer finds no task, so nobody waits for it.
            self.clear_entry(nobody, spid, out)
        super().on_release_fds(out)


@dataclass(slots=True)
class RegistersLater(Kvm):
    """O16, S23, the other half.  The first vCPU runs before the notifier is registered."""

    mm: list[Name] = field(default_factory=list)

    def handle(self, message: Inbox | TimerFired, sender: Name, out: Out) -> None:
        if isinstance(message, TimerFired):
            Kvm.on_open_vm(self, OpenVm(1), self.mm.pop(), out)
        else:
            Kvm.handle(self, message, sender, out)

    def on_open_vm(self, opening: OpenVm, guest: Name, out: Out) -> None:
        self.mm.append(guest)
        out.set_timer("register")
        out.send(guest, Done(opening.call))


class QueuesLater(Vdcm):
    """O1.  The work that stops DMA is queued when a timer fires, behind the driver's."""

    def queue_work(self, slot: Slot, out: Out) -> Verdict:
        if slot.work not in self.works:
            key = key_of(slot.vm, slot.kind, slot.pasid)
            self.works[slot.work] = Work(key, slot.pasid, slot.incarnation)
            out.set_timer(slot.work)
        return Verdict.OK
