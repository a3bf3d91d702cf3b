"""What the VT-d driver is told."""

from typing import TypeAlias

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
Inbox: TypeAlias = Start | HostLost | TimerFired | Request | Notice | Interrupt | RunWork | Answer
