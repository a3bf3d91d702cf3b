"""What the VT-d driver is told."""

from typing import TypeAlias

from actors.iommu_driver import native
from actors.iommu_driver.answers import Answer
from protocol.messages import (
    AttachDomain,
    BindGpasid,
    DetachDomain,
    DeviceReset,
    HostLost,
    NotifyAlloc,
    NotifyBind,
    NotifyFree,
    NotifyUnbind,
    PageRequestInterrupt,
    PageResponse,
    RunWork,
    Start,
    TimerFired,
    UnbindGpasid,
)

Request: TypeAlias = AttachDomain | DetachDomain | BindGpasid | UnbindGpasid | PageResponse
Notice: TypeAlias = NotifyFree | NotifyAlloc | NotifyBind | NotifyUnbind
Interrupt: TypeAlias = PageRequestInterrupt | DeviceReset
World: TypeAlias = Start | HostLost | TimerFired
Inbox: TypeAlias = World | Request | Notice | Interrupt | RunWork | Answer | native.Inbox
