"""What a device gets: commands of drivers, work, answers of its unit, and the PCI core."""

from typing import TypeAlias

from protocol.messages import (
    DisableWq,
    DrainPasid,
    DrainWq,
    EnableWq,
    EnqcmdWrite,
    FlushDevTlb,
    HostLost,
    PageGroupResponse,
    ResetFunction,
    ReturnToService,
    Start,
    SubmitDescriptor,
    Translated,
    WriteIms,
)
from protocol.messages.probing import PciDisablePasid, PciEnablePasid, PfPasidStatus

Inbox: TypeAlias = (
    Start
    | HostLost
    | EnableWq
    | DisableWq
    | DrainWq
    | DrainPasid
    | WriteIms
    | EnqcmdWrite
    | SubmitDescriptor
    | Translated
    | PageGroupResponse
    | FlushDevTlb
    | ResetFunction
    | ReturnToService
    | PciEnablePasid
    | PciDisablePasid
    | PfPasidStatus
)
