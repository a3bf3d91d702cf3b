"""Mistakes of VFIO, KVM and the VDCM, each in one rule."""

from actors.guest import Guest
from actors.guest.state import Inbox, Phase
from actors.kvm import Kvm, notifications, settling
from actors.vdcm import Vdcm, hardware
from actors.vdcm.state import Kind, Slot
from protocol.effects import Out
from protocol.facts import MsrLoaded, VmEntryLifted
from protocol.messages import Done, NotifyBind, Verdict
from protocol.messages.amnesia import RecallLedgerGot
from protocol.names import Call, Name

# --- VFIO -----------------------------------------------------------------------------------------


# --- KVM ------------------------------------------------------------------------------------------


class ClearsUnderACommand(Kvm):
    """R6.  An entry is cleared, and put, while a vCPU's command is on its way to the device."""

    def has_commands_in_flight(self) -> bool:
        return False


class LoadsTheMsr(Kvm):
    """R10.  The host PASID goes into the CPU's IA32_PASID as well, and nobody clears it there."""

    def write_entry(self, bind: NotifyBind, out: Out) -> None:
        super().write_entry(bind, out)
        out.record(MsrLoaded(f"{self.vm}.cpu0", bind.pasid, bind.incarnation))


class TranslatesWithoutAReference(Kvm):
    """N7, S21.  The entry is written whether or not KVM has a reference."""

    def on_notify_bind(self, bind: NotifyBind, out: Out) -> None:
        notifications.handled(bind, out)
        self.write_entry(bind, out)
        notifications.answer(bind, Verdict.OK, out)


class ForgetsWhoWaits(Kvm):
    """The vCPUs may enter again, but those that were in the middle of a command do not go on."""

    def lift(self, out: Out) -> None:
        self.blocks -= 1
        if self.blocks == 0:
            out.record(VmEntryLifted(self.vm))


# --- VDCM -----------------------------------------------------------------------------------------


class LeavesTheImsEntry(Vdcm):
    """R7, S26.  The interrupt message storage keeps the PASID when its slot is given up."""

    def quiesce(self, slot: Slot, call: Call, out: Out, *, abort: bool) -> None:
        if slot.kind is Kind.IMS:
            hardware.answered(self, Done(call), out)
        else:
            super().quiesce(slot, call, out, abort=abort)


class DrainsNothing(Vdcm):
    """R8, S25f.  The shared WQ is not drained of the host PASID: the drain names another."""

    def quiesce(self, slot: Slot, call: Call, out: Out, *, abort: bool) -> None:
        if slot.kind is Kind.SWQ:
            hardware.answered(self, Done(call), out)
        else:
            super().quiesce(slot, call, out, abort=abort)


class LosesTheMm(Vdcm):
    """L4, S43.  On close the mm is asked for again; it is gone, and the notifier stays."""

    def mm_of(self, _vm: Name) -> Name:
        return ""


class PutsTwice(Kvm):
    """N6.  What it finds no entry for after a loss of memory goes back twice."""

    def settle(self, told: RecallLedgerGot, out: Out) -> None:
        settling.settle(self, told, out)
        settling.settle(self, told, out)


class SaysNothingWhenDead(Guest):
    """L1.  Nobody answers for QEMU that has ended, and KVM waits for it."""

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        if self.phase is not Phase.EXITED:
            super().handle(message, sender, out)
