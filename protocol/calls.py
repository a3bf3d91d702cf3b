"""What a caller in a modern kernel can call: by name the message, and whom it goes to (§8).

The operation of a script is the message's name in snake case, its arguments are the message's
fields; those that the caller fills in itself are in `FILLED`.
"""

import re
from typing import Final

from msgspec import Struct

from protocol.messages import (
    AnyMessage,
    DisableWq,
    DrainPasid,
    EnableWq,
    EnqcmdWrite,
)
from protocol.messages.address_spaces import (
    AddIopfDevice,
    DiscardPartialFaults,
    FlushIopfDevice,
    InvalidateKva,
    InvalidateSecondaryTlbs,
    ReleaseMm,
    RemoveIopfDevice,
    ReportPageRequest,
)
from protocol.messages.guests import AllocVdevice, AllocViommu
from protocol.messages.iommu_core import (
    AllocGlobalPasid,
    AttachDevicePasid,
    AttachGroupHandle,
    AttachHandleGet,
    ClaimDmaOwner,
    DetachDevicePasid,
    DetachGroupHandle,
    FreeGlobalPasid,
    PlugDevice,
    ReleaseDmaOwner,
    ReplaceDevicePasid,
    ReplaceGroupHandle,
    ResetDone,
    ResetPrepare,
    SetDevPasid,
    UnplugDevice,
)
from protocol.messages.iommufd import (
    AllocDomain,
    AllocFaultQueue,
    AllocHwpt,
    AllocIoas,
    AllocNestedDomain,
    AnswerFault,
    AttachPt,
    BindDevice,
    CheckHwpt,
    CloseFaultQueue,
    DestroyObject,
    DetachPt,
    FreeDomain,
    MakeMockDevice,
    ReadFaults,
    ReplacePt,
    TriggerFault,
    UnbindDevice,
)
from protocol.messages.probing import (
    GetHwInfo,
    PciDisablePasid,
    PciEnablePasid,
    UnuseDefaultDomain,
    UseDefaultDomain,
)
from protocol.messages.sva import (
    DomainAllocSva,
    DomainFree,
    EnableLam,
    ForceTaggedSva,
    MmPasidDrop,
    SvaBindDevice,
    SvaGetPasid,
    SvaUnbindDevice,
)
from protocol.messages.vfio_cdev import (
    AttachIommufdPt,
    BindIommufd,
    CloseCdev,
    DetachIommufdPt,
    OpenCdev,
)
from protocol.names import IOMMU, IOMMU_CORE, IOPF, SVA_CORE, VFIO, Name, iommufd_of

OWN_CONTEXT: Final[Name] = ""
"""Goes to the caller's own iommufd context."""
SAID: Final[Name] = "@"
"""Goes to whom the caller says with `at=`."""
FILLED: Final = ("call", "incarnation")
"""Fields that no script states: the number of the call, and the ghost of the PASID it names."""
AT: Final = "at"
"""The argument that says whom a call goes to, where it is not the usual one."""


class Operation(Struct, frozen=True):
    """A call: its message, and who answers it."""

    message: type[AnyMessage]
    to: Name

    @property
    def about(self) -> str:
        """What the message's docstring says of it, in one line."""
        return (self.message.__doc__ or "").partition("\n")[0]

    def whom(self, caller: Name, at: Name) -> Name:
        """Whom the call goes to."""
        return at or self.to or iommufd_of(caller)

    @property
    def fields(self) -> tuple[str, ...]:
        """The arguments that it may have."""
        return tuple(name for name in self.message.__struct_fields__ if name not in FILLED)

    @property
    def arguments(self) -> tuple[str, ...]:
        """These, and whom it goes to, where there are several."""
        return (*self.fields, AT) if self.to in (SAID, OWN_CONTEXT) else self.fields


def _named(to: Name, *messages: type[AnyMessage]) -> dict[str, Operation]:
    return {
        re.sub(r"(?<!^)(?=[A-Z])", "_", one.__name__).lower(): Operation(one, to)
        for one in messages
    }


CALLS: Final[dict[str, Operation]] = {
    **_named(
        IOMMU_CORE,
        AttachDevicePasid,
        ReplaceDevicePasid,
        DetachDevicePasid,
        AttachHandleGet,
        AttachGroupHandle,
        ReplaceGroupHandle,
        DetachGroupHandle,
        ClaimDmaOwner,
        ReleaseDmaOwner,
        AllocGlobalPasid,
        FreeGlobalPasid,
        ResetPrepare,
        ResetDone,
        UseDefaultDomain,
        UnuseDefaultDomain,
        PlugDevice,
        UnplugDevice,
    ),
    **_named(
        SVA_CORE,
        SvaBindDevice,
        SvaUnbindDevice,
        SvaGetPasid,
        MmPasidDrop,
        EnableLam,
        ForceTaggedSva,
        InvalidateKva,
    ),
    **_named(
        OWN_CONTEXT,
        AllocIoas,
        AllocFaultQueue,
        AllocHwpt,
        DestroyObject,
        BindDevice,
        UnbindDevice,
        AttachPt,
        ReplacePt,
        DetachPt,
        MakeMockDevice,
        CheckHwpt,
        TriggerFault,
        ReadFaults,
        AnswerFault,
        CloseFaultQueue,
        AllocViommu,
        AllocVdevice,
        GetHwInfo,
    ),
    **_named(
        IOPF,
        AddIopfDevice,
        RemoveIopfDevice,
        FlushIopfDevice,
        DiscardPartialFaults,
        ReportPageRequest,
    ),
    **_named(
        IOMMU,
        DomainAllocSva,
        DomainFree,
        AllocDomain,
        AllocNestedDomain,
        FreeDomain,
        SetDevPasid,
        ReleaseMm,
        InvalidateSecondaryTlbs,
    ),
    **_named(SAID, EnableWq, DisableWq, DrainPasid, EnqcmdWrite, PciEnablePasid, PciDisablePasid),
    **_named(VFIO, OpenCdev, BindIommufd, AttachIommufdPt, DetachIommufdPt, CloseCdev),
}
"""Every operation of a caller."""
