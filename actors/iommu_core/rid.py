"""The core as it is for a driver that must know what DMA without PASID has.

Attach and replace of a group's handle ask the driver for each device, as for a PASID; where one
refuses, those before it go back.  A claim, its end, and a detach put the core's own domain there,
which no driver refuses: it is told, and not asked.

Kernel: __iommu_attach_group, __iommu_group_set_domain of drivers/iommu/iommu.c, 7.3.
"""

from actors.iommu_core import IommuCore
from actors.iommu_core.state import DriverCall, GroupState, OfGroup, Task
from protocol.domains import NO_PASID
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import AnyMessage, Refused
from protocol.messages.iommu_core import DetachGroupHandle
from protocol.messages.probing import AttachDev
from protocol.names import IOMMU, Name


class RidCore(IommuCore):
    """DMA without PASID is the driver's affair, too."""

    __slots__ = ()

    def on_group_request(
        self, group: GroupState | None, request: OfGroup, sender: Name, out: Out
    ) -> None:
        """Refused at once, or when a device will not have it."""
        refused = self.group_refusal(group, request) is not None
        if group is None or refused or isinstance(request, DetachGroupHandle):
            super().on_group_request(group, request, sender, out)
            return
        calls = [
            DriverCall(name, NO_PASID, 0, request.domain, group.domain) for name in group.devices
        ]
        self.start(group, Task(request, sender, calls), out)

    def set_rid(self, group: GroupState, domain: Name, out: Out) -> None:
        """What a driver has agreed to it is told once more."""
        if group.domain != domain:
            for name in group.devices:
                out.send(IOMMU, AttachDev(0, name, domain))
        super().set_rid(group, domain, out)

    def call_of(self, group: GroupState, call: DriverCall) -> AnyMessage:
        """attach_dev for the RID, set_dev_pasid for a PASID."""
        if call.pasid == NO_PASID:
            return AttachDev(group.number, call.device, call.domain)
        return super().call_of(group, call)

    def refused(self, task: Task, call: DriverCall, errno: Errno) -> None:
        """Those that had it go back to what they had, which is not refused."""
        if not isinstance(task.request, OfGroup):
            super().refused(task, call, errno)
        elif task.errno is None:
            task.errno = errno
            task.calls = [self.back(one) for one in task.made]

    def end_other(self, group: GroupState, task: Task, out: Out) -> None:
        """All devices have it, or none."""
        if not isinstance(task.request, OfGroup):
            super().end_other(group, task, out)
        elif task.errno is None:
            super().on_group_request(group, task.request, task.sender, out)
        else:
            out.send(task.sender, Refused(task.request.call, task.errno))
