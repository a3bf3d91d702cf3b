"""What an iommufd context gets: requests, answers, page requests, and its own tasks' turns."""

from typing import TypeAlias

from protocol.messages import Done, HostLost, Refused, Start
from protocol.messages.iommu_core import AttachHandleGot
from protocol.messages.iommufd import (
    AllocFaultQueue,
    AllocHwpt,
    AllocIoas,
    AnswerFault,
    AttachPt,
    BindDevice,
    CheckHwpt,
    CloseFaultQueue,
    DeliverFault,
    DestroyObject,
    DetachPt,
    DomainGot,
    MakeMockDevice,
    Proceed,
    ReadFaults,
    ReplacePt,
    TriggerFault,
    UnbindDevice,
)
from protocol.messages.probing import GetHwInfo, HwInfoGot

Request: TypeAlias = (
    AllocIoas
    | AllocFaultQueue
    | AllocHwpt
    | DestroyObject
    | BindDevice
    | UnbindDevice
    | AttachPt
    | ReplacePt
    | DetachPt
    | MakeMockDevice
    | CheckHwpt
    | TriggerFault
    | ReadFaults
    | AnswerFault
    | CloseFaultQueue
    | GetHwInfo
)
Answer: TypeAlias = Done | Refused | AttachHandleGot | DomainGot | HwInfoGot
Inbox: TypeAlias = Start | HostLost | Request | Answer | DeliverFault | Proceed
