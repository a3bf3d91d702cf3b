"""FREE: the guest gave the PASID back while we still hold it.

The notification is atomic and only queues the work.  The work tears down every device and ends the
svm; nobody else ends an svm whose work is queued, so the work finds the svm it was queued for.

Kernel: drivers/iommu/intel/svm.c, "[PATCH V4 14/18] iommu/vt-d: Listen to IOASID notifications",
with the drain outside any spinlock.  §4.4 (mends S2, S10, S20).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from actors.iommu_driver import lock
from actors.iommu_driver.native_end import has_put
from actors.iommu_driver.order import insert, smallest_free
from actors.iommu_driver.state import DevState, Registration, Step, Svm, Work
from actors.iommu_driver.svm import look_up
from protocol.effects import Out
from protocol.facts import (
    NotificationAnswered,
    NotificationHandled,
    WorkBegun,
    WorkEnded,
    WorkQueued,
)
from protocol.messages import (
    Notification,
    NotifyAlloc,
    NotifyBind,
    NotifyFree,
    NotifyReply,
    NotifyUnbind,
    Priority,
    QueueWork,
    RegisterNotifier,
    RunWork,
    Verdict,
)
from protocol.names import CORE, NO_SET, Name

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver


def on_start(driver: IommuDriver, out: Out) -> None:
    """FREE of any set's PASID concerns us: the global chain."""
    registration = Registration(smallest_free(driver.tasks))
    insert(driver.tasks, registration.number, registration)
    out.send(CORE, RegisterNotifier(registration.number, NO_SET, driver.notifier_priority()))


def notifier_priority(_driver: IommuDriver) -> Priority:
    """After the vCPUs and the devices: the translation goes last (mends S19)."""
    return Priority.IOMMU


def on_notify_free(driver: IommuDriver, free: NotifyFree, core: Name, out: Out) -> None:
    """Draining sleeps, so the handler only queues the work, once."""
    notification_begins(free, "FREE", out)
    svm = look_up(driver, free.pasid, out)
    if svm is None or has_put(svm):
        answer_notification(free, "FREE", Verdict.DONE, core, out)  # UNBIND came first.
        return

    driver.queue_work(svm, out)
    answer_notification(free, "FREE", Verdict.OK, core, out)


def queue_work(_driver: IommuDriver, svm: Svm, out: Out) -> None:
    """From here on the svm is the work's."""
    if svm.work_queued:
        return
    svm.work_queued = True
    work = f"teardown:{svm.pasid}"
    out.record(WorkQueued(work, svm.pasid, svm.incarnation))
    out.send(CORE, QueueWork(work, svm.pasid, svm.incarnation))


def on_run_work(driver: IommuDriver, run: RunWork, out: Out) -> None:
    """The work's turn on the ordered queue; the mutex it has to wait for."""
    work = Work(smallest_free(driver.tasks), run.pasid, run.work, run.incarnation)
    insert(driver.tasks, work.number, work)
    out.record(WorkBegun(run.work, run.pasid, run.incarnation))
    lock.take(driver, work, out)


def next_device(driver: IommuDriver, work: Work, out: Out) -> None:
    """Device after device; one that somebody else is tearing down is left to him and waited for."""
    svm = look_up(driver, work.pasid, out)
    if svm is None:
        out.record(WorkEnded(work.work, work.pasid, work.incarnation))
        driver.finish(work, out)
        return

    linked = [name for name, sdev in svm.devices.items() if sdev.state is DevState.LINKED]
    if linked:
        work.device = linked[0]
        driver.unlink(work, out)
    elif svm.devices:
        work.step = Step.OTHER_TEARDOWN
        lock.release(driver, work, out)  # The other one needs it to come to an end.
    else:
        driver.end_svm(work, out)


def on_set_notification(
    _driver: IommuDriver,
    notification: NotifyAlloc | NotifyBind | NotifyUnbind,
    core: Name,
    out: Out,
) -> None:
    """Of the sets' affairs: not ours, and our block is on no set's chain."""
    match notification:
        case NotifyAlloc():
            name = "ALLOC"
        case NotifyBind():
            name = "BIND"
        case NotifyUnbind():
            name = "UNBIND"
        case _:
            assert_never(notification)
    notification_begins(notification, name, out)
    answer_notification(notification, name, Verdict.DONE, core, out)


def notification_begins(notification: Notification, name: str, out: Out) -> None:
    """An atomic handler begins, as a task of its own."""
    task = f"notify:{notification.call}"
    out.record(NotificationHandled(name, notification.pasid, notification.incarnation, task))


def answer_notification(
    notification: Notification, name: str, verdict: Verdict, core: Name, out: Out
) -> None:
    """It has returned."""
    task = f"notify:{notification.call}"
    out.record(
        NotificationAnswered(
            name, notification.pasid, notification.incarnation, task, verdict.value
        )
    )
    out.send(core, NotifyReply(notification.call, verdict))
