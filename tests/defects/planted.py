"""One planted defect for every rule: the mistake that breaks it, and nothing else.

A property that no mistake can break says nothing; one that breaks only in company says nothing of
its own.  So each defect here is one small method of one actor, written over by a mistake that
somebody could make, and the experiment beside it is a small one on which random schedules find it.
Some need more: both who guard a rule are wrong (N13, O16), and who waits has to be kept (N18).
"""

from dataclasses import dataclass
from typing import Final

from actors.defects.bind_takes_mm_users import PinsTheAddressSpace
from actors.defects.device_tlb_before_iotlb import FlushesTheDeviceFirst
from actors.defects.drain_past_the_ring import DrainsPastTheRing
from actors.defects.find_by_spid_while_pending import FindsThePending
from actors.defects.guest_number_of_another_set import AsksInTheFirstSet
from actors.defects.iotlb_before_pasid_cache import FlushesTheIotlbFirst
from actors.defects.late_unbind_refused import RefusesALateUnbind
from actors.defects.ownership_not_checked import OwnsForEveryone
from actors.defects.page_tables_freed_before_release import FreesFirst
from actors.defects.private_data_replaced import ReplacesData
from actors.defects.reset_fenced_once import FencesOnce
from actors.defects.reset_without_drain import ReturnsAtOnce
from actors.defects.rollback_undoes_earlier_bind import RollsBackTheGroup
from actors.defects.vm_entry_left_blocked import LeavesTheBlockUp
from clusters.cluster import ActorClass, Role
from tests.defects import (
    core,
    driver,
    modern,
    modern_faults,
    modern_hardware,
    modern_processes,
    native,
    order,
    stages,
    users,
)
from tests.defects.stages import Stage


@dataclass(frozen=True)
class Planted:
    """A property, the actors with the mistake by role, and where it is found.

    `also` names properties that this rule cannot be broken without, and why.
    """

    property: str
    stage: Stage
    classes: dict[Role, ActorClass]
    also: tuple[str, ...] = ()
    why: str = ""


def planted(name: str, at: Stage, **classes: ActorClass) -> Planted:
    """A defect that breaks one property alone."""
    return Planted(name, at, classes)


ORDER: Final = "hardware flushes what it is asked to: a line is left only where the order is wrong"

PLANTED: Final[tuple[Planted, ...]] = (
    # What must be over at a reclaim: R1 to R11.
    planted("unreferenced-at-reclaim", stages.LOST_VDCM, core=core.ReclaimsFromTheLost),
    planted("entries-cleared-before-reclaim", stages.NO_PRI, iommu=order.SetsUpWhatItZeroes),
    Planted(
        "iommu-caches-flushed-before-reclaim",
        stages.WITHOUT_ATS,
        {"iommu": FlushesTheIotlbFirst},
        also=("teardown-in-order",),
        why=ORDER,
    ),
    Planted(
        "device-tlb-flushed-before-reclaim",
        stages.WITHOUT_PRI,
        {"iommu": FlushesTheDeviceFirst},
        also=("teardown-in-order",),
        why=ORDER,
    ),
    planted(
        "page-requests-settled-before-reclaim",
        stages.FREED_WITH_FAULTS,
        iommu=DrainsPastTheRing,
    ),
    planted(
        "translations-cleared-before-reclaim", stages.SLOW_COMMAND, kvm=users.ClearsUnderACommand
    ),
    planted("slots-cleared-before-reclaim", stages.IMS, vdcm=users.LeavesTheImsEntry),
    planted("descriptors-ended-before-reclaim", stages.SLOW_HARDWARE, vdcm=users.DrainsNothing),
    planted("descriptors-ended-before-reclaim", stages.FREED_WITH_DMA, vdcm=order.QueuesLater),
    planted("driver-done-before-reclaim", stages.PLAIN, iommu=driver.PutsWithDataAttached),
    planted("msr-cleared-before-reclaim", stages.PLAIN, kvm=users.LoadsTheMsr),
    planted(
        # Whichever of the two clears it is enough.
        "msr-cleared-before-reclaim",
        stages.CLOSED,
        iommu=native.LeavesTheMsrLoaded,
        process=native.ExitsWithTheMsr,
    ),
    planted("freed-before-reclaim", stages.FAILED_ALLOC, core=core.TakesBackAFailedAlloc),
    # What must never be: N1 to N20.
    Planted(
        "dma-in-its-own-life",
        stages.UNBOUND_WITH_DMA,
        {"iommu": driver.ZeroesAPresentEntry},
        also=("teardown-in-order",),
        why="a zeroed entry has no domain, so the flush of the IOTLB takes nothing of it",
    ),
    planted(
        "page-answers-in-the-same-life", stages.FAULTS_OF_TWO, iommu=driver.AnswersForTheFirstBound
    ),
    planted("no-reference-while-pending", stages.IMS_WHILE_FREED, core=FindsThePending),
    planted("one-notification-per-transition", stages.EXIT, core=core.NotifiesASecondFree),
    planted("unbind-names-the-bound-spid", stages.PLAIN, core=core.ClearsTheSpidFirst),
    planted("references-add-up", stages.LOST_VDCM, core=core.ForgetsWhatTheLostHold),
    planted("rebuilt-ledgers-put-once", stages.FORGOTTEN, kvm=users.PutsTwice),
    planted("contexts-hold-references", stages.PLAIN, kvm=users.TranslatesWithoutAReference),
    planted("numbers-in-use-are-unique", stages.SAME_SPID, core=core.AttachesAnSpidTwice),
    planted("quotas-add-up", stages.THREE_OF_TWO, core=core.AllowsOneTooMany),
    planted("only-the-owner-acts", stages.ANOTHERS, core=OwnsForEveryone),
    planted("one-bind-per-device", stages.BOUND_TWICE, vfio=RollsBackTheGroup),
    planted("binds-keep-their-second-level", stages.TWO_MDEVS, iommu=driver.CountsAuxBinds),
    planted("present-entries-unchanged", stages.PLAIN, unit=driver.WritesAnEntryInTwoGoes),
    planted(
        # The core guards against the driver's half, and without that the core's is never met.
        "private-data-kept",
        stages.TWO_UNITS,
        core=ReplacesData,
        iommu=driver.AttachesDataPerDevice,
    ),
    planted("atomic-code-never-sleeps", stages.FREED, iommu=driver.DrainsInItsHandler),
    Planted(
        "no-chained-notification",
        stages.FREED,
        {"iommu": driver.DetachesInItsHandler},
        also=("told-while-bound",),
        why="the UNBIND that the handler of FREE sends is long before the teardown",
    ),
    Planted(
        "lives-apart-in-a-device",
        stages.IMS_AND_REUSE,
        {"vdcm": users.LeavesTheImsEntry},
        also=("slots-cleared-before-reclaim",),
        why="what is in a device when the number lives again was there when it was reclaimed",
    ),
    planted("damage-confined-to-the-vm", stages.IMS_OF_TWO, vdcm=AsksInTheFirstSet),
    planted("free-answered-at-once", stages.FREED, core=core.RefusesToFreeWhatIsInUse),
    planted("free-answered-at-once", stages.FREED, core=core.AnswersFreeAtTheLastPut),
    planted("no-use-after-free", stages.PLAIN, iommu=driver.FreesTheSvmTooSoon),
    planted("flushes-reach-the-right-unit", stages.TWO_UNITS, iommu=driver.HasOneUnit),
    planted("locks-in-order", stages.FREED, iommu=driver.LetsGoOfWhatIsFree),
    # What must come before what: O1 to O18.
    planted("teardown-in-order", stages.PLAIN, iommu=FlushesTheIotlbFirst),
    planted("teardown-in-order", stages.UNBOUND, iommu=driver.LeavesTheEntryPresent),
    planted("teardown-in-order", stages.PLAIN, iommu=order.DrainsBeforeItFlushes),
    planted("teardown-in-order", stages.OVERFLOW, iommu=order.DrainsOnce),
    planted("told-while-bound", stages.PLAIN, iommu=order.TellsBeforeTheEntry),
    planted("told-while-bound", stages.TWO_UNITS, iommu=order.TellsAtTheFirstUnbind),
    planted("subscribers-called-in-order", stages.FREED, core=order.TellsTheDriverBeforeTheDevice),
    planted("subscribers-called-in-order", stages.FREED, core=order.TellsBeforeItIsPending),
    planted("vcpus-kept-out-while-cleared", stages.PLAIN, kvm=order.LiftsBeforeThePut),
    planted("vcpus-kept-out-while-cleared", stages.BOUND, kvm=order.ClearsBeforeItUnregisters),
    planted("works-in-order", stages.IMS_FREED, workqueue=order.RunsTheYoungest),
    planted("works-in-order", stages.IMS_FREED, workqueue=order.RunsAllAtOnce),
    planted(
        # As posted the core refuses, and QEMU opens KVM before anything else.
        "registered-before-the-first-pasid",
        stages.PLAIN,
        core=order.RegistersLatecomers,
        kvm=order.RegistersLater,
    ),
    planted("drained-before-return-to-service", stages.RESET, iommu=ReturnsAtOnce),
    planted("drained-before-return-to-service", stages.RESET_AND_ON, iommu=FencesOnce),
    planted("one-pasid-for-an-mm", stages.USED_TWICE, process=native.ForgetsItsPasid),
    planted("unbind-of-an-mm-in-order", stages.CLOSED, iommu=native.PutsThePasidFirst),
    planted("hardware-off-before-page-tables", stages.EXITED_OPEN, process=FreesFirst),
    # What must come in the end: L1 to L6, and what a script expects.
    planted("freed-pasids-are-reclaimed", stages.FREED, core=core.NeverTellsOfFree),
    planted("page-requests-end", stages.RESET_WITH_FAULT, iommu=order.LosesAnAnswer),
    planted("exited-vms-leave-nothing", stages.EXIT, vdcm=users.LosesTheMm),
    Planted(
        "no-deadlock",
        stages.PLAIN,
        {"iommu": driver.TakesTheMutexTwice},
        also=("operations-end",),
        why="the bind that waits for itself is not answered",
    ),
    planted("exited-processes-leave-nothing", stages.EXITED_OPEN, process=PinsTheAddressSpace),
    planted("vm-entry-lifted", stages.FREED, kvm=LeavesTheBlockUp),
    Planted(
        "lost-memory-is-rebuilt",
        stages.FORGOTTEN_AT_EXIT,
        {"guest": users.SaysNothingWhenDead},
        also=("vm-entry-lifted", "exited-vms-leave-nothing"),
        why="until KVM knows, the vCPUs are kept out, and its notifier stays where it is",
    ),
    *(
        Planted(name, at, classes, *modern.ALSO.get(name, ()))
        for name, at, classes in modern.SOFTWARE
    ),
    *(Planted(name, at, classes) for name, at, classes in modern_faults.FAULTS),
    *(Planted(name, at, classes) for name, at, classes in modern_processes.PROCESSES),
    *(Planted(name, at, classes) for name, at, classes in modern_hardware.HARDWARE),
    planted("outcomes-as-scripted", stages.LATE, vfio=RefusesALateUnbind),
    planted("operations-end", stages.DMA_OF_TWO, kvm=users.ForgetsWhoWaits),
)
