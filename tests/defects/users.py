"""Mistakes of VFIO, KVM and the VDCM, each in one rule."""

from actors.kvm import Kvm, notifications
from actors.vdcm import Vdcm, hardware
from actors.vdcm.state import Kind, Slot
from actors.vfio import Vfio
from actors.vfio.state import Bind
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import MsrLoaded, VmEntryLifted
from protocol.messages import Done, FindBySpid, NotifyBind, NotifyUnbind, Verdict
from protocol.names import CORE, Call, Gpasid, Name

# --- VFIO -----------------------------------------------------------------------------------------


class RollsBackEverything(Vfio):
    """N11, S8.  A bind that fails unbinds the PASID from every device of the group."""

    def devices_to_roll_back(self, task: Bind) -> list[Name]:
        return list(self.processes[task.vm].groups[task.group])


class FailsALateUnbind(Vfio):
    """S11.  An unbind after free is refused, although nothing is left to do."""

    def errno_of_unbind(self, failed: Errno) -> Errno | None:
        return failed


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


class LeavesTheBlockUp(Kvm):
    """L6, S22.  UNBIND of what has no entry keeps the vCPUs out, and returns."""

    def on_notify_unbind(self, unbind: NotifyUnbind, out: Out) -> None:
        entry = self.table.get(unbind.spid)
        if entry is None or entry.pasid != unbind.pasid:
            self.block(out)
        super().on_notify_unbind(unbind, out)


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


class LooksUpForTheFirstVm(Vdcm):
    """N17, S33.  A guest's number is looked up for the first VM on the device, not for its own."""

    def look_up(self, slot: Slot, gpasid: Gpasid, call: Call, out: Out) -> None:
        out.send(CORE, FindBySpid(call, next(iter(self.vdevs)), gpasid, slot.reason))


class LosesTheMm(Vdcm):
    """L4, S43.  On close the mm is asked for again; it is gone, and the notifier stays."""

    def mm_of(self, _vm: Name) -> Name:
        return ""
