"""The virtual device composition module of one device, as a user of PASIDs (idxd's mdev driver).

It keeps a slot for each PASID that a VM can submit with here: the dedicated WQ, the entry in the
interrupt message storage, and the right to submit on the shared WQ.  Each slot owns one reference;
it goes back when the hardware behind the slot is clean, whoever saw to that: the guest, a work
after FREE or UNBIND, or the close of the VM's files.

Kernel: drivers/vfio/mdev/idxd of the Intel data-centre kernel ("DCP").  §4.6, §4.8.
"""

from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar, Self, TypeAlias, assert_never

from actors.vdcm import (
    answers,
    clearing,
    files,
    hardware,
    notifications,
    portal,
    programming,
    works,
)
from actors.vdcm.state import Kind, Phase, Slot, Task, Work
from protocol.effects import Out, Site
from protocol.machine import Machine
from protocol.messages import (
    DisableVwq,
    Done,
    DrainRequestsGot,
    DrainVwq,
    EnableVwq,
    EnqcmdWriteGot,
    FindBySpid,
    FindBySpidGot,
    GuestEnqcmd,
    HostLost,
    NotifyAlloc,
    NotifyBind,
    NotifyFree,
    NotifyUnbind,
    OpenVdev,
    PutPasidGot,
    Refused,
    ReleaseFds,
    ResetVdev,
    RunWork,
    Start,
    TimerFired,
    Verdict,
    WqMode,
    WriteVims,
)
from protocol.names import CORE, Call, Gpasid, Name

Request: TypeAlias = (
    OpenVdev | EnableVwq | DisableVwq | DrainVwq | ResetVdev | WriteVims | GuestEnqcmd
)
Notice: TypeAlias = NotifyAlloc | NotifyBind | NotifyUnbind | NotifyFree
Inbox: TypeAlias = (
    Start | HostLost | TimerFired | ReleaseFds | Request | Notice | RunWork | answers.Answer
)


@dataclass(slots=True)
class Vdcm:
    """A slot with a PASID in it has exactly one reference; `works` are those with a turn to come.

    `vdevs` has the VMs on this device.  The device `asks_pages` of its `unit`, until it is `lost`.
    """

    SITES: ClassVar[tuple[Site, ...]] = (works.NO_MEMORY, programming.COMMAND)
    LOSABLE: ClassVar[bool] = True

    name: Name
    device: Name
    mode: WqMode
    vdevs: dict[Name, Phase]
    unit: Name
    asks_pages: bool
    slots: dict[str, Slot] = field(default_factory=dict)
    works: dict[str, Work] = field(default_factory=dict)
    tasks: dict[Call, Task] = field(default_factory=dict)
    lost: bool = False

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """A virtual device for each VM on the device, none of them open."""
        device = machine.device(name.partition(".")[2])
        vdevs = dict.fromkeys(machine.vms_on(device.name), Phase.CLOSED)
        asks_pages = machine.has_pri(device) and device.ats
        return cls(name, device.name, WqMode(device.wq), vdevs, device.unit, asks_pages)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """The VDCM's table of contents."""
        match message:
            case Done() | PutPasidGot() | DrainRequestsGot() | FindBySpidGot() | Refused():
                answers.take(self, message, out)
            case NotifyAlloc():
                notifications.on_notify_alloc(message, out)
            case NotifyBind():
                notifications.on_notify_bind(self, message, out)
            case NotifyUnbind():
                notifications.on_notify_unbind(self, message, out)
            case NotifyFree():
                notifications.on_notify_free(self, message, out)
            case RunWork():
                works.on_run_work(self, message, out)
            case EnableVwq():
                programming.on_enable_vwq(self, message, sender, out)
            case DisableVwq():
                clearing.on_disable_vwq(self, message, sender, out)
            case DrainVwq():
                hardware.on_drain_vwq(self, message, sender, out)
            case ResetVdev():
                clearing.on_reset_vdev(self, message, sender, out)
            case WriteVims():
                programming.on_write_vims(self, message, sender, out)
            case GuestEnqcmd():
                portal.on_guest_enqcmd(self, message, sender, out)
            case EnqcmdWriteGot():
                answers.take(self, message, out)
            case OpenVdev():
                files.on_open_vdev(self, message, sender, out)
            case ReleaseFds():
                files.on_release_fds(self, message, out)
            case TimerFired():
                works.on_timer_fired(self, message, out)
            case Start():
                pass  # The notifier is registered when a VM opens its virtual device.
            case HostLost():
                hardware.on_host_lost(self, message, out)
            case _:
                assert_never(message)

    def begin(self, task: Task) -> Call:
        """A task is known by the smallest number that is free."""
        call = next(number for number in count(1) if number not in self.tasks)
        self.tasks[call] = task
        return call

    def resume(self, call: Call, out: Out) -> None:
        """The slot that the task waited for is its now."""
        answers.resume(self, call, out)

    # --- The rules ----------------------------------------------------------------------------

    def is_open(self, vm: Name) -> bool:
        """Whether the VM has the virtual device open, and nobody is closing it."""
        return self.vdevs.get(vm) is Phase.OPEN

    def hears(self, vm: Name) -> bool:
        """Whether the VM's notifier may be registered: closing stops the WQ before it goes."""
        return self.vdevs.get(vm) in {Phase.OPEN, Phase.CLOSING}

    def unregister(self, vm: Name, out: Out) -> None:
        """The VM's WQ takes nothing more, so of new PASIDs the VDCM need not be told."""
        files.unregister(self, vm, out)

    def mm_of(self, vm: Name) -> Name:
        """The mm that the notifier was registered for."""
        return vm

    def look_up(self, slot: Slot, gpasid: Gpasid, call: Call, out: Out) -> None:
        """Ask for the host PASID in the set of the slot's own VM, with a reference (S24, S33)."""
        out.send(CORE, FindBySpid(call, slot.vm, gpasid, slot.reason))

    def queue_work(self, slot: Slot, out: Out) -> Verdict:
        """A notification cannot be refused: what cannot be queued now is queued later (S41)."""
        works.queue(self, slot, out)
        return Verdict.OK

    def quiesce(self, slot: Slot, call: Call, out: Out, *, abort: bool) -> None:
        """Have the hardware behind the slot stop, with its host PASID (mends S25f)."""
        hardware.quiesce(self, slot, call, out, abort=abort)

    def must_settle(self, slot: Slot) -> bool:
        """Whether what ran with the slot's PASID may have left page requests on their way."""
        return self.asks_pages and slot.kind is not Kind.IMS and not self.lost

    # What happens to a slot is told in the modules beside this one; here its rules become methods.
    slots_freed = notifications.slots_freed
    slots_unbound = notifications.slots_unbound
    fill = programming.fill
    clear = clearing.clear
    put = clearing.put_reference
    is_due = clearing.is_due
    put_failed = clearing.put_failed
    put_submission = portal.put_reference
