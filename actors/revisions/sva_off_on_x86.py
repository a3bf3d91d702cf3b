"""SVA off on x86, as 72f98ef9a4be has it until e37d5a2d60a3: every bind there is EOPNOTSUPP.

Kernel page tables could stay in an IOMMU's caches after they were freed, and an x86 IOMMU walks
them.  So in the kernels between the two (6.18 stable up to 6.18.6; 6.12.117 was recorded so) nobody
on x86 has SVA, whatever the device can do; an SMMUv3 is on no x86.  A kernel without
CONFIG_IOMMU_SVA is another thing (`[machine] without`): that one says ENODEV.
"""

from dataclasses import dataclass
from typing import Final, Self

from actors.sva import Sva
from actors.sva.state import Locked
from protocol.errors import Errno
from protocol.machine import ARM, Machine
from protocol.messages.sva import SvaBindDevice
from protocol.names import Name

SOURCE: Final = "72f98ef9a4be (CVE-2025-71089); mended by e37d5a2d60a3 (CVE-2025-71202)"
DATE: Final = "2025-12-01"


@dataclass(slots=True)
class SvaOffOnX86(Sva):
    """`off`: the machine is an x86 one."""

    off: bool = False

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """An x86 one, unless an SMMUv3 is in it."""
        made = super(SvaOffOnX86, cls).of(machine, name)
        made.off = not any(unit.driver == ARM for unit in machine.units)
        return made

    def early_refusal(self, request: Locked) -> Errno | None:
        """EOPNOTSUPP first of all."""
        if self.off and isinstance(request, SvaBindDevice):
            return Errno.EOPNOTSUPP
        return super(SvaOffOnX86, self).early_refusal(request)


CLASSES: Final[dict[str, type]] = {"sva": SvaOffOnX86}
