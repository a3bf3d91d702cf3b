"""Facts: what a handler states happened, for the history and the properties (§6).

Each names who records it.  A host stamps actor, input and cause (`protocol.history`).  All are
flat, so that a record is one flat JSON object.  `incarnation` is the ghost that the recorder
holds for the PASID, unless the docstring says whose it is.
"""

from protocol.facts.accelerators import AcceleratorFact
from protocol.facts.amnesia import AmnesiaFact
from protocol.facts.core import (
    CapacityChanged,
    DataAttached,
    DataDetached,
    FreeAnswered,
    FreeRequested,
    NotificationSent,
    NotifierRegistered,
    NotifierUnregistered,
    PasidAllocated,
    PasidReclaimed,
    ReferenceDropped,
    ReferenceTaken,
    SetAllocated,
    SetFreed,
    SpidAttached,
    SpidDetached,
    StateChanged,
    SubscriberAnswered,
    SubscriberCalled,
)
from protocol.facts.event import (
    Event,
)
from protocol.facts.guests import GuestFact
from protocol.facts.hardware import (
    CacheFilled,
    CacheFlushed,
    DescriptorAccepted,
    DescriptorEnded,
    DmaBlocked,
    DmaTranslated,
    DrainScanned,
    EntryCleared,
    EntryWritten,
    FunctionReset,
    FunctionReturned,
    PageRequested,
    PageSettled,
    RequestAutoAnswered,
    RequestRinged,
    RequestsDrained,
    RequestTaken,
    WqCleared,
    WqProgrammed,
)
from protocol.facts.intel_iommu import IntelIommuFact
from protocol.facts.iommu_core import IommuCoreFact
from protocol.facts.iommufd import IommufdFact
from protocol.facts.iopf import IopfFact
from protocol.facts.native import (
    FileDropped,
    FileHeld,
    FileReleased,
    MmFreed,
    MmNotifierRegistered,
    MmNotifierUnregistered,
    MmPasidAssigned,
    PageTablesFreed,
    ProcessExited,
)
from protocol.facts.network import HandlerFailed, LinkActed
from protocol.facts.process import (
    OpFail,
    OpInfo,
    OpInvoked,
    OpOk,
    Outcome,
    VmExited,
)
from protocol.facts.software import (
    BindAnswered,
    BindRequested,
    DeviceBound,
    DeviceTornDown,
    DeviceUnbound,
    DomainBound,
    DomainFreed,
    DomainUnbound,
    EnqcmdIssued,
    EnqcmdRetired,
    FdsReleased,
    FlushRequested,
    LockReleased,
    LockTaken,
    LockWaited,
    MemoryAllocated,
    MemoryFreed,
    MemoryUsed,
    MsrCleared,
    MsrLoaded,
    NotificationAnswered,
    NotificationHandled,
    PageAnswered,
    PageReported,
    PageWithheld,
    PasidLinked,
    PasidUnlinked,
    SleepMay,
    SlotCleared,
    SlotProgrammed,
    SvmCreated,
    SvmFreed,
    TranslationCleared,
    TranslationWritten,
    UnbindRequested,
    VmEntryBlocked,
    VmEntryLifted,
    WorkBegun,
    WorkDue,
    WorkEnded,
    WorkFinished,
    WorkLinedUp,
    WorkQueued,
)
from protocol.facts.sva import SvaFact
from protocol.facts.thread import ThreadEntered
from protocol.facts.vfio_cdev import VfioCdevFact
from protocol.facts.world import (
    FaultBegun,
    FaultHealed,
    HostCrashed,
    HostGone,
    HostStarted,
    MessageDelivered,
    MessageSent,
    PropertyViolated,
    RunEnded,
    RunStarted,
    SiteFailed,
    WitnessSeen,
)

ActorFact = (
    PasidAllocated
    | FreeRequested
    | FreeAnswered
    | StateChanged
    | PasidReclaimed
    | ReferenceTaken
    | ReferenceDropped
    | DataAttached
    | DataDetached
    | SpidAttached
    | SpidDetached
    | SetAllocated
    | SetFreed
    | CapacityChanged
    | NotifierRegistered
    | NotifierUnregistered
    | NotificationSent
    | SubscriberCalled
    | SubscriberAnswered
    | NotificationHandled
    | NotificationAnswered
    | SleepMay
    | LockTaken
    | LockWaited
    | LockReleased
    | WorkQueued
    | WorkBegun
    | WorkEnded
    | MemoryAllocated
    | MemoryUsed
    | MemoryFreed
    | PasidLinked
    | PasidUnlinked
    | BindRequested
    | BindAnswered
    | UnbindRequested
    | FdsReleased
    | SvmCreated
    | SvmFreed
    | DeviceBound
    | DeviceUnbound
    | DeviceTornDown
    | FlushRequested
    | PageReported
    | PageAnswered
    | TranslationWritten
    | TranslationCleared
    | VmEntryBlocked
    | VmEntryLifted
    | EnqcmdIssued
    | EnqcmdRetired
    | SlotProgrammed
    | SlotCleared
    | MsrLoaded
    | MsrCleared
    | EntryWritten
    | EntryCleared
    | CacheFilled
    | CacheFlushed
    | WqProgrammed
    | WqCleared
    | DescriptorAccepted
    | DescriptorEnded
    | DmaTranslated
    | DmaBlocked
    | PageRequested
    | PageSettled
    | RequestRinged
    | RequestTaken
    | RequestAutoAnswered
    | DrainScanned
    | OpInvoked
    | OpOk
    | OpFail
    | OpInfo
    | VmExited
    | DomainBound
    | DomainUnbound
    | DomainFreed
    | FunctionReset
    | FunctionReturned
    | RequestsDrained
    | WorkLinedUp
    | WorkDue
    | WorkFinished
    | PageWithheld
    | MmPasidAssigned
    | MmNotifierRegistered
    | MmNotifierUnregistered
    | PageTablesFreed
    | MmFreed
    | ProcessExited
    | FileHeld
    | FileDropped
    | FileReleased
    | IommuCoreFact
    | SvaFact
    | IommufdFact
    | IntelIommuFact
    | IopfFact
    | AcceleratorFact
    | ThreadEntered
    | GuestFact
    | VfioCdevFact
    | AmnesiaFact
)
"""Every fact an actor can state."""

Fact = (
    ActorFact
    | RunStarted
    | RunEnded
    | MessageSent
    | MessageDelivered
    | HostStarted
    | HostCrashed
    | HostGone
    | FaultBegun
    | FaultHealed
    | SiteFailed
    | PropertyViolated
    | WitnessSeen
    | LinkActed
    | HandlerFailed
)
"""Every fact there is: the actors' and the world's."""

__all__ = [
    "ActorFact",
    "BindAnswered",
    "BindRequested",
    "CacheFilled",
    "CacheFlushed",
    "CapacityChanged",
    "DataAttached",
    "DataDetached",
    "DescriptorAccepted",
    "DescriptorEnded",
    "DeviceBound",
    "DeviceTornDown",
    "DeviceUnbound",
    "DmaBlocked",
    "DmaTranslated",
    "DomainBound",
    "DomainFreed",
    "DomainUnbound",
    "DrainScanned",
    "EnqcmdIssued",
    "EnqcmdRetired",
    "EntryCleared",
    "EntryWritten",
    "Event",
    "Fact",
    "FaultBegun",
    "FaultHealed",
    "FdsReleased",
    "FileDropped",
    "FileHeld",
    "FileReleased",
    "FlushRequested",
    "FreeAnswered",
    "FreeRequested",
    "FunctionReset",
    "FunctionReturned",
    "HandlerFailed",
    "HostCrashed",
    "HostGone",
    "HostStarted",
    "LinkActed",
    "LockReleased",
    "LockTaken",
    "LockWaited",
    "MemoryAllocated",
    "MemoryFreed",
    "MemoryUsed",
    "MessageDelivered",
    "MessageSent",
    "MmFreed",
    "MmNotifierRegistered",
    "MmNotifierUnregistered",
    "MmPasidAssigned",
    "MsrCleared",
    "MsrLoaded",
    "NotificationAnswered",
    "NotificationHandled",
    "NotificationSent",
    "NotifierRegistered",
    "NotifierUnregistered",
    "OpFail",
    "OpInfo",
    "OpInvoked",
    "OpOk",
    "Outcome",
    "PageAnswered",
    "PageReported",
    "PageRequested",
    "PageSettled",
    "PageTablesFreed",
    "PageWithheld",
    "PasidAllocated",
    "PasidLinked",
    "PasidReclaimed",
    "PasidUnlinked",
    "ProcessExited",
    "PropertyViolated",
    "ReferenceDropped",
    "ReferenceTaken",
    "RequestAutoAnswered",
    "RequestRinged",
    "RequestTaken",
    "RequestsDrained",
    "RunEnded",
    "RunStarted",
    "SetAllocated",
    "SetFreed",
    "SiteFailed",
    "SleepMay",
    "SlotCleared",
    "SlotProgrammed",
    "SpidAttached",
    "SpidDetached",
    "StateChanged",
    "SubscriberAnswered",
    "SubscriberCalled",
    "SvmCreated",
    "SvmFreed",
    "ThreadEntered",
    "TranslationCleared",
    "TranslationWritten",
    "UnbindRequested",
    "VmEntryBlocked",
    "VmEntryLifted",
    "VmExited",
    "WitnessSeen",
    "WorkBegun",
    "WorkDue",
    "WorkEnded",
    "WorkFinished",
    "WorkLinedUp",
    "WorkQueued",
    "WqCleared",
    "WqProgrammed",
]
