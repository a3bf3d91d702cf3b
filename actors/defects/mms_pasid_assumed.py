"""An SVA domain is believed to be attached on its mm's PASID; a set on another one is not refused.

The descriptor is written where the core said.  But what the mm tells the driver later, a release or
a flush, goes to the mm's own PASID on each device: on the other one the device goes on.

Until May 2024 (6.10): then such a set was EINVAL.  Since 6.11 the driver keeps the SSID of each
attachment (49db2ed23c52): nothing is assumed any more, and the check has gone.
"""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from actors.intel_iommu import Inbox, IntelIommu, callbacks
from actors.intel_iommu.arm_smmu_v3 import ArmSmmuV3
from actors.intel_iommu.state import CacheTag, Do, Task, What
from actors.intel_iommu.tasks import NOWHERE, new_task
from protocol.domains import SVA
from protocol.effects import Out
from protocol.messages import AnyMessage, InvalidateDevTlb
from protocol.messages.accelerators import GetMmPasid, MmPasidGot
from protocol.messages.iommu_core import SetDevPasid
from protocol.names import SVA_CORE, Call, Name

SOURCE: Final = "fdc69d39e77f, iommu/arm-smmu-v3: no SVA domain on the wrong PASID; modern bug 39"

Set: TypeAlias = tuple[SetDevPasid, Name]
"""A set, and who has asked for it."""


@dataclass(slots=True)
class AssumesTheMmsPasid(ArmSmmuV3):
    """`reading`: sets that wait for the PASID of their mm; `read`: what it is, by domain."""

    reading: dict[Call, Set] = field(default_factory=dict)
    read: dict[Name, MmPasidGot] = field(default_factory=dict)

    def handle(self, message: Inbox | MmPasidGot, sender: Name, out: Out) -> None:
        """One answer more."""
        if isinstance(message, MmPasidGot):
            del self.tasks[message.call]
            request, core = self.reading.pop(message.call)
            self.read[request.domain] = message
            IntelIommu.on_set_dev_pasid(self, request, core, out)
        else:
            IntelIommu.handle(self, message, sender, out)

    def on_set_dev_pasid(self, request: SetDevPasid, core: Name, out: Out) -> None:
        """mm_get_enqcmd_pasid, whose answer nobody compares."""
        domain = self.domain(request.domain, out)
        if domain.kind != SVA:
            IntelIommu.on_set_dev_pasid(self, request, core, out)
            return
        task = new_task(self, "read", core, request.call, NOWHERE)  # The number is taken.
        self.reading[task.number] = request, core
        out.send(SVA_CORE, GetMmPasid(task.number, domain.vm))

    def next_place(self, task: Task, out: Out) -> bool:
        """The descriptor of the mm's PASID is what a release switches off."""
        going = callbacks.next_place(self, task, out)
        if task.todo[:1] == [Do(What.TEAR_DOWN)]:
            place, mms = task.place, self.read[task.domain]
            task.place = type(place)(place.device, mms.pasid, mms.incarnation)
        return going

    def flush_of(self, task: Task, tag: CacheTag, out: Out) -> AnyMessage:
        """By ASID wherever that is cached; but a device's TLB by the mm's PASID."""
        message = callbacks.flush_of(self, task, tag, out)
        mms = self.read.get(task.domain)
        if mms is None or not isinstance(message, InvalidateDevTlb):
            return message
        return InvalidateDevTlb(message.call, message.device, mms.pasid, mms.incarnation)


CLASSES: Final[dict[str, type]] = {"arm_smmu_v3": AssumesTheMmsPasid}
