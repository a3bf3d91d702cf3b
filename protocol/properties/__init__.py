"""The properties: what must hold, in the order of the rules; then what should be seen (§6).

One file per property, named as the property is.  `docs/invariants.md` is generated from this.
"""

from typing import Final

from protocol.errors import ExperimentError, nearest
from protocol.properties.atomic_code_never_sleeps import AtomicCodeNeverSleeps
from protocol.properties.attached_domains_are_in_hardware import AttachedDomainsAreInHardware
from protocol.properties.attaches_have_a_fresh_handle import AttachesHaveAFreshHandle
from protocol.properties.attachments_are_counted import AttachmentsAreCounted
from protocol.properties.binds_keep_their_second_level import BindsKeepTheirSecondLevel
from protocol.properties.binds_return_their_own_bond import BindsReturnTheirOwnBond
from protocol.properties.bonds_add_up import BondsAddUp
from protocol.properties.bonds_keep_their_mm import BondsKeepTheirMm
from protocol.properties.cache_tags_follow_attachments import CacheTagsFollowAttachments
from protocol.properties.contexts_hold_references import ContextsHoldReferences
from protocol.properties.damage_confined_to_the_vm import DamageConfinedToTheVm
from protocol.properties.descriptors_ended_before_reclaim import DescriptorsEndedBeforeReclaim
from protocol.properties.descriptors_of_their_submitter import DescriptorsOfTheirSubmitter
from protocol.properties.destroyed_when_unused import DestroyedWhenUnused
from protocol.properties.device_tlb_flushed_before_reclaim import DeviceTlbFlushedBeforeReclaim
from protocol.properties.devices_leave_the_fault_queue_drained import (
    DevicesLeaveTheFaultQueueDrained,
)
from protocol.properties.devices_unbound_when_detached import DevicesUnboundWhenDetached
from protocol.properties.dma_in_its_own_life import DmaInItsOwnLife
from protocol.properties.drain_with_request_in_ring import DrainWithRequestInRing
from protocol.properties.drained_before_return_to_service import DrainedBeforeReturnToService
from protocol.properties.drains_leave_an_empty_ring import DrainsLeaveAnEmptyRing
from protocol.properties.driver_done_before_reclaim import DriverDoneBeforeReclaim
from protocol.properties.entries_cleared_before_reclaim import EntriesClearedBeforeReclaim
from protocol.properties.entries_zeroed_when_flushed import EntriesZeroedWhenFlushed
from protocol.properties.exited_mms_leave_nothing import ExitedMmsLeaveNothing
from protocol.properties.exited_processes_leave_nothing import ExitedProcessesLeaveNothing
from protocol.properties.exited_vms_leave_nothing import ExitedVmsLeaveNothing
from protocol.properties.failed_attach_changes_nothing import FailedAttachChangesNothing
from protocol.properties.failed_binds_leave_nothing import FailedBindsLeaveNothing
from protocol.properties.failed_opens_leave_nothing import FailedOpensLeaveNothing
from protocol.properties.failed_replace_keeps_the_old import FailedReplaceKeepsTheOld
from protocol.properties.fault_groups_answered_once import FaultGroupsAnsweredOnce
from protocol.properties.fault_groups_have_one_owner import FaultGroupsHaveOneOwner
from protocol.properties.fault_references_add_up import FaultReferencesAddUp
from protocol.properties.fault_work_flushed_before_removal import FaultWorkFlushedBeforeRemoval
from protocol.properties.faults_after_exit import FaultsAfterExit
from protocol.properties.flushes_reach_every_cache import FlushesReachEveryCache
from protocol.properties.flushes_reach_the_right_unit import FlushesReachTheRightUnit
from protocol.properties.free_answered_at_once import FreeAnsweredAtOnce
from protocol.properties.free_while_bound import FreeWhileBound
from protocol.properties.freed_before_reclaim import FreedBeforeReclaim
from protocol.properties.freed_pasids_are_reclaimed import FreedPasidsAreReclaimed
from protocol.properties.global_pasids_have_one_owner import GlobalPasidsHaveOneOwner
from protocol.properties.global_pasids_within_the_device import GlobalPasidsWithinTheDevice
from protocol.properties.handles_seen_when_attached import HandlesSeenWhenAttached
from protocol.properties.hardware_off_before_page_tables import HardwareOffBeforePageTables
from protocol.properties.iommu_caches_flushed_before_reclaim import IommuCachesFlushedBeforeReclaim
from protocol.properties.kernel_tables_flushed import KernelTablesFlushed
from protocol.properties.late_unbind import LateUnbind
from protocol.properties.lives_apart_in_a_device import LivesApartInADevice
from protocol.properties.locks_in_order import LocksInOrder
from protocol.properties.lost_memory_is_rebuilt import LostMemoryIsRebuilt
from protocol.properties.mm_held_until_unbound import MmHeldUntilUnbound
from protocol.properties.mm_pasid_reused import MmPasidReused
from protocol.properties.mm_released_before_unbind import MmReleasedBeforeUnbind
from protocol.properties.msr_cleared_before_reclaim import MsrClearedBeforeReclaim
from protocol.properties.msr_is_the_mms import MsrIsTheMms
from protocol.properties.new_mms_have_no_pasid import NewMmsHaveNoPasid
from protocol.properties.no_chained_notification import NoChainedNotification
from protocol.properties.no_deadlock import NoDeadlock
from protocol.properties.no_fault_under_a_freed_handle import NoFaultUnderAFreedHandle
from protocol.properties.no_reference_while_pending import NoReferenceWhilePending
from protocol.properties.no_report_of_a_released_device import NoReportOfAReleasedDevice
from protocol.properties.no_use_after_free import NoUseAfterFree
from protocol.properties.numbers_in_use_are_unique import NumbersInUseAreUnique
from protocol.properties.numbers_return_when_detached import NumbersReturnWhenDetached
from protocol.properties.one_bind_per_device import OneBindPerDevice
from protocol.properties.one_bond_for_a_pair import OneBondForAPair
from protocol.properties.one_notification_per_transition import OneNotificationPerTransition
from protocol.properties.one_pasid_for_an_mm import OnePasidForAnMm
from protocol.properties.only_the_owner_acts import OnlyTheOwnerActs
from protocol.properties.operations_end import OperationsEnd
from protocol.properties.outcomes_as_scripted import OutcomesAsScripted
from protocol.properties.owners_change_when_nothing_is_attached import (
    OwnersChangeWhenNothingIsAttached,
)
from protocol.properties.page_answered import PageWasAnswered
from protocol.properties.page_answers_in_the_same_life import PageAnswersInTheSameLife
from protocol.properties.page_requests_end import PageRequestsEnd
from protocol.properties.page_requests_settled_before_reclaim import (
    PageRequestsSettledBeforeReclaim,
)
from protocol.properties.page_requests_wait_for_no_user import PageRequestsWaitForNoUser
from protocol.properties.page_tables_made_for_pasids import PageTablesMadeForPasids
from protocol.properties.pasid_reused import PasidReused
from protocol.properties.present_entries_unchanged import PresentEntriesUnchanged
from protocol.properties.private_data_kept import PrivateDataKept
from protocol.properties.property import Kind, Property
from protocol.properties.quotas_add_up import QuotasAddUp
from protocol.properties.rebuilt_ledgers_put_once import RebuiltLedgersPutOnce
from protocol.properties.references_add_up import ReferencesAddUp
from protocol.properties.registered_before_the_first_pasid import RegisteredBeforeTheFirstPasid
from protocol.properties.released_address_spaces_unreachable import ReleasedAddressSpacesUnreachable
from protocol.properties.released_entries_end_drained import ReleasedEntriesEndDrained
from protocol.properties.removed_devices_have_no_files import RemovedDevicesHaveNoFiles
from protocol.properties.reported_faults_are_answered import ReportedFaultsAreAnswered
from protocol.properties.reset_devices_stay_blocked import ResetDevicesStayBlocked
from protocol.properties.ring_overflow import RingOverflow
from protocol.properties.rollback import Rollback
from protocol.properties.slots_cleared_before_reclaim import SlotsClearedBeforeReclaim
from protocol.properties.subscribers_called_in_order import SubscribersCalledInOrder
from protocol.properties.system_pasid_beside_a_bond import SystemPasidBesideABond
from protocol.properties.teardown_in_order import TeardownInOrder
from protocol.properties.told_while_bound import ToldWhileBound
from protocol.properties.translations_cleared_before_reclaim import TranslationsClearedBeforeReclaim
from protocol.properties.unbind_names_the_bound_spid import UnbindNamesTheBoundSpid
from protocol.properties.unbind_of_an_mm_in_order import UnbindOfAnMmInOrder
from protocol.properties.unhandled_faults_are_invalid import UnhandledFaultsAreInvalid
from protocol.properties.unreferenced_at_reclaim import UnreferencedAtReclaim
from protocol.properties.vcpus_kept_out_while_cleared import VcpusKeptOutWhileCleared
from protocol.properties.vdevices_end_with_their_device import VdevicesEndWithTheirDevice
from protocol.properties.vfio_keeps_what_is_attached import VfioKeepsWhatIsAttached
from protocol.properties.vm_entry_lifted import VmEntryIsLifted
from protocol.properties.vm_lost_while_bound import VmLostWhileBound
from protocol.properties.works_in_order import WorksInOrder

__all__ = ["BY_NAME", "PROPERTIES", "Kind", "Property", "property_named"]

PROPERTIES: Final[tuple[type[Property], ...]] = (
    UnreferencedAtReclaim,
    EntriesClearedBeforeReclaim,
    IommuCachesFlushedBeforeReclaim,
    DeviceTlbFlushedBeforeReclaim,
    PageRequestsSettledBeforeReclaim,
    TranslationsClearedBeforeReclaim,
    SlotsClearedBeforeReclaim,
    DescriptorsEndedBeforeReclaim,
    DriverDoneBeforeReclaim,
    MsrClearedBeforeReclaim,
    FreedBeforeReclaim,
    DmaInItsOwnLife,
    PageAnswersInTheSameLife,
    NoReferenceWhilePending,
    OneNotificationPerTransition,
    UnbindNamesTheBoundSpid,
    ReferencesAddUp,
    RebuiltLedgersPutOnce,
    ContextsHoldReferences,
    NumbersInUseAreUnique,
    QuotasAddUp,
    OnlyTheOwnerActs,
    OneBindPerDevice,
    BindsKeepTheirSecondLevel,
    PresentEntriesUnchanged,
    PrivateDataKept,
    AtomicCodeNeverSleeps,
    NoChainedNotification,
    LivesApartInADevice,
    DamageConfinedToTheVm,
    FreeAnsweredAtOnce,
    NoUseAfterFree,
    FlushesReachTheRightUnit,
    OnePasidForAnMm,
    UnbindOfAnMmInOrder,
    HardwareOffBeforePageTables,
    DrainedBeforeReturnToService,
    LocksInOrder,
    TeardownInOrder,
    ToldWhileBound,
    SubscribersCalledInOrder,
    VcpusKeptOutWhileCleared,
    WorksInOrder,
    RegisteredBeforeTheFirstPasid,
    GlobalPasidsHaveOneOwner,
    GlobalPasidsWithinTheDevice,
    NumbersReturnWhenDetached,
    FailedAttachChangesNothing,
    FailedReplaceKeepsTheOld,
    HandlesSeenWhenAttached,
    AttachesHaveAFreshHandle,
    OneBondForAPair,
    BondsAddUp,
    BindsReturnTheirOwnBond,
    PageTablesMadeForPasids,
    AttachmentsAreCounted,
    DestroyedWhenUnused,
    VdevicesEndWithTheirDevice,
    DevicesUnboundWhenDetached,
    VfioKeepsWhatIsAttached,
    OwnersChangeWhenNothingIsAttached,
    ResetDevicesStayBlocked,
    FailedBindsLeaveNothing,
    BondsKeepTheirMm,
    MmHeldUntilUnbound,
    NewMmsHaveNoPasid,
    MsrIsTheMms,
    KernelTablesFlushed,
    FailedOpensLeaveNothing,
    DescriptorsOfTheirSubmitter,
    RemovedDevicesHaveNoFiles,
    AttachedDomainsAreInHardware,
    EntriesZeroedWhenFlushed,
    ReleasedAddressSpacesUnreachable,
    ReleasedEntriesEndDrained,
    FaultReferencesAddUp,
    DevicesLeaveTheFaultQueueDrained,
    DrainsLeaveAnEmptyRing,
    NoReportOfAReleasedDevice,
    FlushesReachEveryCache,
    CacheTagsFollowAttachments,
    FreedPasidsAreReclaimed,
    PageRequestsEnd,
    ExitedVmsLeaveNothing,
    ExitedProcessesLeaveNothing,
    ExitedMmsLeaveNothing,
    NoDeadlock,
    VmEntryIsLifted,
    LostMemoryIsRebuilt,
    OutcomesAsScripted,
    OperationsEnd,
    FaultGroupsAnsweredOnce,
    FaultGroupsHaveOneOwner,
    FaultWorkFlushedBeforeRemoval,
    UnhandledFaultsAreInvalid,
    NoFaultUnderAFreedHandle,
    PageRequestsWaitForNoUser,
    ReportedFaultsAreAnswered,
    FreeWhileBound,
    PasidReused,
    LateUnbind,
    DrainWithRequestInRing,
    Rollback,
    PageWasAnswered,
    RingOverflow,
    VmLostWhileBound,
    FaultsAfterExit,
    MmPasidReused,
    MmReleasedBeforeUnbind,
    SystemPasidBesideABond,
)

BY_NAME: Final[dict[str, type[Property]]] = {one.name: one for one in PROPERTIES}


def property_named(name: str) -> type[Property]:
    """The property of that name; an unknown one is refused with the nearest right spelling."""
    found = BY_NAME.get(name)
    if found is not None:
        return found
    hint = nearest(name, BY_NAME)
    raise ExperimentError(f"'{name}' is not a property{hint} (properties: {', '.join(BY_NAME)})")
