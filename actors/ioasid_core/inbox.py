"""What the IOASID core may be handed."""

from typing import TypeAlias

from protocol.messages import (
    AllocPasid,
    AllocSet,
    AttachData,
    AttachSpid,
    CancelCapacity,
    DetachData,
    DetachSpid,
    FindBySpid,
    FindPasid,
    FreeAllInSet,
    FreePasid,
    FreeSet,
    GetIfOwned,
    GetPasid,
    HostLost,
    InstallCapacity,
    NotifyReply,
    PutPasid,
    QueueWork,
    RegisterNotifier,
    RegisterNotifierMm,
    ReserveCapacity,
    Start,
    UnregisterNotifier,
)
from protocol.messages.amnesia import RecallLedger

Inbox: TypeAlias = (
    AllocPasid
    | FreePasid
    | FreeAllInSet
    | GetPasid
    | GetIfOwned
    | PutPasid
    | FindPasid
    | FindBySpid
    | AttachSpid
    | DetachSpid
    | AttachData
    | DetachData
    | NotifyReply
    | QueueWork
    | RegisterNotifier
    | RegisterNotifierMm
    | UnregisterNotifier
    | AllocSet
    | FreeSet
    | InstallCapacity
    | ReserveCapacity
    | CancelCapacity
    | Start
    | HostLost
    | RecallLedger
)
