"""Mistakes of the VT-d driver, each in one step, and two of the unit that it drives."""

from msgspec.structs import replace

from actors.defects.aux_binds_counted import CountsAuxBinds
from actors.iommu_driver import IommuDriver, lock
from actors.iommu_driver.free import answer_notification, notification_begins
from actors.iommu_driver.order import insert, smallest_free
from actors.iommu_driver.state import (
    MUTEX,
    Bind,
    Operation,
    Registration,
    Step,
    Svm,
)
from actors.iommu_driver.svm import look_up
from actors.iommu_unit import IommuUnit, table
from protocol.effects import Out
from protocol.facts import LockReleased, MemoryFreed, SleepMay
from protocol.messages import (
    DetachSpid,
    Done,
    NotifyFree,
    PageGroupResponse,
    Verdict,
    WriteEntry,
    ZeroEntry,
)
from protocol.names import CORE, Call, Incarnation, Name

__all__ = ["CountsAuxBinds"]


class LeavesTheEntryPresent(IommuDriver):
    """O2.  Teardown begins with the caches and never clears the entry."""

    def clear_present(self, task: Operation, out: Out) -> None:
        self.invalidate_pasid_cache(task, out)


class PutsWithDataAttached(IommuDriver):
    """R9.  The last unbind leaves the private data with the PASID."""

    def detach_data(self, task: Operation, out: Out) -> None:
        self.put_reference(task, out)


class ZeroesAPresentEntry(IommuDriver):
    """N1, S46.  The entry is zeroed, word by word, before P is clear."""

    def clear_present(self, task: Operation, out: Out) -> None:
        zeroing = Registration(smallest_free(self.tasks))
        insert(self.tasks, zeroing.number, zeroing)
        svm = self.svms[task.pasid]
        zero = ZeroEntry(zeroing.number, task.device, svm.pasid, svm.incarnation)
        out.send(self.unit_of(svm, task.device), zero)
        super().clear_present(task, out)


class AnswersForTheFirstBound(IommuDriver):
    """N2, S34b.  Whichever PASID is the first on the device answers for all of them."""

    def answer_group(
        self, unit: Name, response: PageGroupResponse, answerer: Incarnation, out: Out
    ) -> None:
        first = next((svm for svm in self.svms.values() if response.device in svm.devices), None)
        if answerer and first is not None:
            answerer = first.incarnation
        super().answer_group(unit, response, answerer, out)


class AttachesDataPerDevice(IommuDriver):
    """N13, S15, the other half.  Each bind attaches the private data, not only the first."""

    def make_sdev(self, bind: Bind, out: Out) -> None:
        if bind.first or bind.step is Step.ATTACH_DATA:
            super().make_sdev(bind, out)
        else:
            self.attach_data(bind, out)


class DrainsInItsHandler(IommuDriver):
    """N14, S20.  The FREE handler waits for the ring itself, before the work does it again."""

    def on_notify_free(self, free: NotifyFree, core: Name, out: Out) -> None:
        notification_begins(free, "FREE", out)
        svm = look_up(self, free.pasid, out)
        if svm is not None:
            out.record(SleepMay(f"notify:{free.call}", "drain"))
            self.queue_work(svm, out)
        answer_notification(free, "FREE", Verdict.OK, core, out)


class DetachesInItsHandler(IommuDriver):
    """N15.  The FREE handler detaches the SPID itself, which sends UNBIND."""

    def on_notify_free(self, free: NotifyFree, core: Name, out: Out) -> None:
        super().on_notify_free(free, core, out)
        svm = self.svms.get(free.pasid)
        if svm is not None:
            call: Call = smallest_free(self.tasks)
            insert(self.tasks, call, Registration(call))
            out.send(CORE, DetachSpid(call, svm.pasid, svm.incarnation))


class FreesTheSvmTooSoon(IommuDriver):
    """N19, S2.  The svm is freed while there may be readers, and the teardown is one of them."""

    def detach_data(self, task: Operation, out: Out) -> None:
        out.record(MemoryFreed("svm", self.svms[task.pasid].object()))
        super().detach_data(task, out)


class HasOneUnit(IommuDriver):
    """N20, S27.  One IOMMU pointer for all devices."""

    def unit_of(self, _svm: Svm, _device: Name) -> Name:
        return next(iter(self.units.values()))


class LetsGoOfWhatIsFree(IommuDriver):
    """O15, S3.  The FREE handler lets go of a mutex that it has not taken, nor anybody else."""

    def on_notify_free(self, free: NotifyFree, core: Name, out: Out) -> None:
        super().on_notify_free(free, core, out)
        if self.pasid_mutex.holder is None:
            out.record(LockReleased(MUTEX, "mutex", f"notify:{free.call}"))


class TakesTheMutexTwice(IommuDriver):
    """L5.  Who has bound a device waits for the mutex that he holds."""

    def link_device(self, bind: Bind, out: Out) -> None:
        lock.take(self, bind, out)


class WritesAnEntryInTwoGoes(IommuUnit):
    """N12.  P is set before the rest of the entry is there, and that is written after it."""

    def on_write_entry(self, write: WriteEntry, driver: Name, out: Out) -> None:
        if self.is_present((write.device, write.pasid)):
            super().on_write_entry(write, driver, out)
            return
        table.write(self, replace(write, table=0), out)
        table.write(self, write, out)
        out.send(driver, Done(write.call))
