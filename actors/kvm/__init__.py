"""KVM of one VM, as a user of PASIDs: the table by which a vCPU's ENQCMD gets its host PASID.

Every VALID entry holds one reference.  It is written after the core has granted the reference, and
cleared only while the vCPUs are kept out and none of their commands is on its way to a device.
For a shared work queue nothing else decides which host PASIDs a guest may use.

Kernel: arch/x86/kvm/vmx/vmx.c of the Intel data-centre kernel ("DCP").  §4.5, §4.8.
"""

from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar, Self, assert_never

from actors.kvm import answers, commands, files, notifications, rebuild, settling
from actors.kvm.inbox import Inbox
from actors.kvm.state import Answer, Command, Entry, Phase, Rebuild, Task, Waiting
from protocol.effects import Out, Site
from protocol.facts import TranslationCleared, TranslationWritten, VmEntryBlocked, VmEntryLifted
from protocol.machine import Machine
from protocol.messages import (
    Done,
    EnqcmdWriteGot,
    GuestEnqcmd,
    HostLost,
    NotifyAlloc,
    NotifyBind,
    NotifyFree,
    NotifyUnbind,
    OpenVm,
    PutPasid,
    PutPasidGot,
    Refused,
    ReleaseFds,
    Start,
    Verdict,
)
from protocol.messages.amnesia import Forget, RecallCallsGot, RecallLedgerGot
from protocol.names import CORE, Call, Gpasid, Name, vm_of

__all__ = ["Inbox", "Kvm"]


@dataclass(slots=True)
class Kvm:
    """`table` has the VALID entries.  While `blocks` is not 0 no vCPU is in the guest.

    `devices` are those of the VM that still answer, `waiting` the commands that the block holds up,
    `parents` the devices behind mdevs.  `life` counts its lost memories, `rebuilding` is how
    far it is with finding out again what it was doing.
    """

    SITES: ClassVar[tuple[Site, ...]] = (notifications.TABLE_PAGE,)
    LOSABLE: ClassVar[bool] = True
    FORGETS: ClassVar[bool] = True

    name: Name
    vm: Name
    devices: list[Name]
    phase: Phase = Phase.CLOSED
    table: dict[Gpasid, Entry] = field(default_factory=dict)
    tasks: dict[Call, Task] = field(default_factory=dict)
    blocks: int = 0
    waiting: list[Waiting] = field(default_factory=list)
    parents: dict[Name, Name] = field(default_factory=dict)
    life: int = 0
    rebuilding: Rebuild | None = None

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """A VM without a vCPU."""
        vm = machine.vm(vm_of(name))
        return cls(name, vm.name, list(machine.hardware_of(vm.name)), parents=machine.parents)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """KVM's table of contents."""
        if self.rebuilding is not None:
            rebuild.take(self, self.rebuilding, message, sender, out)
            return
        match message:
            case GuestEnqcmd():
                self.on_guest_enqcmd(message, sender, out)
            case EnqcmdWriteGot():
                self.on_enqcmd_write_got(message, out)
            case Done() | Refused() | PutPasidGot():
                self.on_answer(message, out)
            case NotifyAlloc():
                self.on_notify_alloc(message, out)
            case NotifyBind():
                self.on_notify_bind(message, out)
            case NotifyUnbind():
                self.on_notify_unbind(message, out)
            case NotifyFree():
                self.on_notify_free(message, out)
            case OpenVm():
                self.on_open_vm(message, sender, out)
            case ReleaseFds():
                self.on_release_fds(out)
            case Forget():
                rebuild.forget(self, message, out)
            case Start() | RecallLedgerGot() | RecallCallsGot():
                pass  # The first vCPU registers the notifier.  Or: told to an earlier life.
            case HostLost():
                self.on_host_lost(message, out)
            case _:
                assert_never(message)

    def on_open_vm(self, opening: OpenVm, guest: Name, out: Out) -> None:
        """The first vCPU: on the chain before the VM's first PASID (O16)."""
        files.open_vm(self, opening, guest, out)

    def on_release_fds(self, out: Out) -> None:
        """Off the chain first, then every entry is cleared and its reference put (O17)."""
        files.release(self, out)

    def on_guest_enqcmd(self, command: GuestEnqcmd, guest: Name, out: Out) -> None:
        """While the vCPUs are kept out the command waits; else it goes by the table."""
        commands.execute(self, command, guest, out)

    def on_enqcmd_write_got(self, got: EnqcmdWriteGot, out: Out) -> None:
        """The device has the command, or wants it again later."""
        commands.retire(self, got.call, out, accepted=got.accepted)

    def on_notify_alloc(self, alloc: NotifyAlloc, out: Out) -> None:
        """No gPASID stands for the PASID yet: not KVM's."""
        notifications.ignore(alloc, out)

    def on_notify_bind(self, bind: NotifyBind, out: Out) -> None:
        """First the reference, only then the entry (mends S21); without memory or room: BAD."""
        notifications.bind(self, bind, out)

    def on_notify_unbind(self, unbind: NotifyUnbind, out: Out) -> None:
        """The entry of this gPASID goes if it has this host PASID; else nothing is raised (S22)."""
        entry = self.table.get(unbind.spid)
        has_it = entry is not None and entry.pasid == unbind.pasid
        notifications.clear(self, unbind, unbind.spid if has_it else None, out)

    def on_notify_free(self, free: NotifyFree, out: Out) -> None:
        """Freed before it was unbound: the entry goes all the same, before DMA stops (S19)."""
        notifications.clear(self, free, notifications.spid_of(self, free), out)

    def on_answer(self, answer: Answer, out: Out) -> None:
        """The task that asked goes on."""
        answers.take(self, answer, out)

    def begin(self, task: Task) -> Call:
        """A task is known by the smallest number that is free."""
        call = next(number for number in count(1) if number not in self.tasks)
        self.tasks[call] = task
        return call

    def proceed(self, out: Out) -> None:
        """A command or a notification has come to its end: whoever waited for that goes on."""
        notifications.clear_entries(self, out)
        files.unregister_next(self, out)
        files.clear_next(self, out)

    def without_page(self) -> Verdict:
        """What a BIND answers that finds no memory for its entry: the bind has to fail (S41)."""
        return Verdict.BAD

    def write_entry(self, bind: NotifyBind, out: Out) -> None:
        """From now on the guest can submit with the host PASID."""
        self.table[bind.spid] = Entry(bind.pasid, bind.incarnation)
        out.record(TranslationWritten(self.vm, bind.spid, bind.pasid, bind.incarnation))

    def clear_entry(self, call: Call, spid: Gpasid, out: Out) -> None:
        """From now on it cannot, so the reference goes back."""
        entry = self.table.pop(spid)
        out.record(TranslationCleared(self.vm, spid, entry.pasid, entry.incarnation))
        out.send(CORE, PutPasid(call, entry.pasid, entry.incarnation, notifications.REASON))

    on_host_lost = commands.on_host_lost
    read_back = rebuild.read_back
    settle = settling.settle
    missed = settling.missed

    def may_submit(self) -> bool:
        """Whether a command of a vCPU can be on its way to a device."""
        return self.phase in {Phase.OPEN, Phase.STOPPING}

    def has_commands_in_flight(self) -> bool:
        """Whether a vCPU has read an entry and the device has not yet answered."""
        return any(isinstance(task, Command) for task in self.tasks.values())

    def block(self, out: Out) -> None:
        """Kick the vCPUs out and keep them out."""
        self.blocks += 1
        if self.blocks == 1:
            out.record(VmEntryBlocked(self.vm))

    def lift(self, out: Out) -> None:
        """They enter again when nobody keeps them out, and what they were at comes first."""
        self.blocks -= 1
        if self.blocks == 0:
            out.record(VmEntryLifted(self.vm))
            commands.resume(self, out)
