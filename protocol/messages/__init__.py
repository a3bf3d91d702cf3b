"""Every message of the 2020-21 stack, as one tagged union.

Read `common` first, then `core`; each docstring says who sends it, to whom, and what answers.
"""

from protocol.messages.allocator import (
    AllocPasidWithData,
    CallGetter,
    CustomAlloc,
    CustomAllocGot,
    CustomFree,
    CustomFreed,
    FindPasidWithGetter,
    GetterReturned,
    RegisterAllocator,
    SetData,
    UnregisterAllocator,
)
from protocol.messages.common import (
    CommonMessage,
    Done,
    HostLost,
    Message,
    Refused,
    ReleaseFds,
    Start,
    TimerFired,
    Told,
)
from protocol.messages.core import (
    AllocPasid,
    AllocPasidGot,
    AllocSet,
    AllocSetGot,
    AttachData,
    AttachSpid,
    CancelCapacity,
    DetachData,
    DetachSpid,
    FindBySpid,
    FindBySpidGot,
    FindPasid,
    FindPasidGot,
    FreeAllInSet,
    FreePasid,
    FreeSet,
    GetIfOwned,
    GetPasid,
    InstallCapacity,
    Notification,
    NotifyAlloc,
    NotifyBind,
    NotifyFree,
    NotifyReply,
    NotifyUnbind,
    Priority,
    PutPasid,
    PutPasidGot,
    QueueWork,
    RegisterNotifier,
    RegisterNotifierMm,
    ReserveCapacity,
    ReserveCapacityGot,
    RunWork,
    SetKind,
    UnregisterNotifier,
    Verdict,
    WorkDone,
)
from protocol.messages.device import (
    DescriptorDone,
    DeviceCommand,
    DisableVwq,
    DisableWq,
    DrainPasid,
    DrainVwq,
    DrainWq,
    EnableVwq,
    EnableWq,
    EnqcmdWrite,
    EnqcmdWriteGot,
    GuestEnqcmd,
    GuestEnqcmdGot,
    OpenVdev,
    OpenVm,
    ResetVdev,
    Status,
    SubmitDescriptor,
    VmExit,
    WqMode,
    WriteIms,
    WriteVims,
)
from protocol.messages.driver import (
    AttachDomain,
    BindGpasid,
    BindPgtbl,
    DetachDomain,
    FlushFaults,
    FreePasidRange,
    OpenContainer,
    PageRequestReport,
    PageResponse,
    RequestPasid,
    RequestPasidGot,
    RespondPage,
    ResponseCode,
    UnbindGpasid,
    UnbindPgtbl,
)
from protocol.messages.hardware import (
    AdvancePrq,
    ClearPresent,
    DeviceReset,
    DrainRequests,
    DrainRequestsGot,
    FlushDevTlb,
    InvalidateDevTlb,
    InvalidateIotlb,
    InvalidatePasidCache,
    PageGroupResponse,
    PageRequest,
    PageRequestInterrupt,
    RaisePageRequest,
    ReadPrq,
    ReadPrqGot,
    ResetFunction,
    ReturnToService,
    Translate,
    Translated,
    Translation,
    UntranslatedDma,
    WriteEntry,
    ZeroEntry,
)
from protocol.messages.native import (
    AssignPasid,
    BindFile,
    BindMm,
    BindMmGot,
    DupFiles,
    Forked,
    Kill,
    LoadMsr,
    MmRelease,
    OpenFile,
    PinMm,
    PinMmGot,
    PutFile,
    RegisterMmNotifier,
    UnbindFile,
    UnbindMm,
    UnpinMm,
    UnregisterMmNotifier,
)
from protocol.messages.topics import TopicMessage

AnyMessage = (
    CommonMessage
    | AllocSet
    | AllocSetGot
    | FreeSet
    | InstallCapacity
    | ReserveCapacity
    | ReserveCapacityGot
    | CancelCapacity
    | AllocPasid
    | AllocPasidGot
    | FreePasid
    | FreeAllInSet
    | GetPasid
    | GetIfOwned
    | PutPasid
    | PutPasidGot
    | AttachData
    | DetachData
    | AttachSpid
    | DetachSpid
    | FindPasid
    | FindPasidGot
    | FindBySpid
    | FindBySpidGot
    | RegisterNotifier
    | RegisterNotifierMm
    | UnregisterNotifier
    | NotifyAlloc
    | NotifyFree
    | NotifyBind
    | NotifyUnbind
    | NotifyReply
    | QueueWork
    | RunWork
    | WorkDone
    | OpenVm
    | GuestEnqcmd
    | GuestEnqcmdGot
    | VmExit
    | EnqcmdWrite
    | EnqcmdWriteGot
    | SubmitDescriptor
    | DescriptorDone
    | OpenVdev
    | EnableVwq
    | DisableVwq
    | DrainVwq
    | ResetVdev
    | WriteVims
    | EnableWq
    | DisableWq
    | DrainWq
    | DrainPasid
    | WriteIms
    | BindGpasid
    | UnbindGpasid
    | AttachDomain
    | DetachDomain
    | PageRequestReport
    | RespondPage
    | PageResponse
    | FlushFaults
    | OpenContainer
    | RequestPasid
    | RequestPasidGot
    | FreePasidRange
    | BindPgtbl
    | UnbindPgtbl
    | WriteEntry
    | ClearPresent
    | ZeroEntry
    | InvalidatePasidCache
    | InvalidateIotlb
    | InvalidateDevTlb
    | DrainRequests
    | DrainRequestsGot
    | PageRequestInterrupt
    | ReadPrq
    | ReadPrqGot
    | AdvancePrq
    | PageGroupResponse
    | RaisePageRequest
    | Translate
    | Translated
    | UntranslatedDma
    | FlushDevTlb
    | ResetFunction
    | DeviceReset
    | ReturnToService
    | AllocPasidWithData
    | SetData
    | FindPasidWithGetter
    | CallGetter
    | GetterReturned
    | RegisterAllocator
    | UnregisterAllocator
    | CustomAlloc
    | CustomAllocGot
    | CustomFree
    | CustomFreed
    | TopicMessage
)
"""Every message there is."""

__all__ = [
    "AdvancePrq",
    "AllocPasid",
    "AllocPasidGot",
    "AllocPasidWithData",
    "AllocSet",
    "AllocSetGot",
    "AnyMessage",
    "AssignPasid",
    "AttachData",
    "AttachDomain",
    "AttachSpid",
    "BindFile",
    "BindGpasid",
    "BindMm",
    "BindMmGot",
    "BindPgtbl",
    "CallGetter",
    "CancelCapacity",
    "ClearPresent",
    "CustomAlloc",
    "CustomAllocGot",
    "CustomFree",
    "CustomFreed",
    "DescriptorDone",
    "DetachData",
    "DetachDomain",
    "DetachSpid",
    "DeviceCommand",
    "DeviceReset",
    "DisableVwq",
    "DisableWq",
    "Done",
    "DrainPasid",
    "DrainRequests",
    "DrainRequestsGot",
    "DrainVwq",
    "DrainWq",
    "DupFiles",
    "EnableVwq",
    "EnableWq",
    "EnqcmdWrite",
    "EnqcmdWriteGot",
    "FindBySpid",
    "FindBySpidGot",
    "FindPasid",
    "FindPasidGot",
    "FindPasidWithGetter",
    "FlushDevTlb",
    "FlushFaults",
    "Forked",
    "FreeAllInSet",
    "FreePasid",
    "FreePasidRange",
    "FreeSet",
    "GetIfOwned",
    "GetPasid",
    "GetterReturned",
    "GuestEnqcmd",
    "GuestEnqcmdGot",
    "HostLost",
    "InstallCapacity",
    "InvalidateDevTlb",
    "InvalidateIotlb",
    "InvalidatePasidCache",
    "Kill",
    "LoadMsr",
    "Message",
    "MmRelease",
    "Notification",
    "NotifyAlloc",
    "NotifyBind",
    "NotifyFree",
    "NotifyReply",
    "NotifyUnbind",
    "OpenContainer",
    "OpenFile",
    "OpenVdev",
    "OpenVm",
    "PageGroupResponse",
    "PageRequest",
    "PageRequestInterrupt",
    "PageRequestReport",
    "PageResponse",
    "PinMm",
    "PinMmGot",
    "Priority",
    "PutFile",
    "PutPasid",
    "PutPasidGot",
    "QueueWork",
    "RaisePageRequest",
    "ReadPrq",
    "ReadPrqGot",
    "Refused",
    "RegisterAllocator",
    "RegisterMmNotifier",
    "RegisterNotifier",
    "RegisterNotifierMm",
    "ReleaseFds",
    "RequestPasid",
    "RequestPasidGot",
    "ReserveCapacity",
    "ReserveCapacityGot",
    "ResetFunction",
    "ResetVdev",
    "RespondPage",
    "ResponseCode",
    "ReturnToService",
    "RunWork",
    "SetData",
    "SetKind",
    "Start",
    "Status",
    "SubmitDescriptor",
    "TimerFired",
    "Told",
    "Translate",
    "Translated",
    "Translation",
    "UnbindFile",
    "UnbindGpasid",
    "UnbindMm",
    "UnbindPgtbl",
    "UnpinMm",
    "UnregisterAllocator",
    "UnregisterMmNotifier",
    "UnregisterNotifier",
    "UntranslatedDma",
    "Verdict",
    "VmExit",
    "WorkDone",
    "WqMode",
    "WriteEntry",
    "WriteIms",
    "WriteVims",
    "ZeroEntry",
]
