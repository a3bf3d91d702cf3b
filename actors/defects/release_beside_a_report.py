"""The PRQ thread looks a device up and reports its request, and nothing keeps the device there.

It is unplugged meanwhile; what the thread and the fault core go on with is freed memory.
"""

from typing import Final

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import Round
from protocol.effects import Out

SOURCE: Final = "def054b01a86, CVE-2024-35843, February 2024"


class ReportsUnlocked(IntelIommu):
    """There is no lock that a release could wait for."""

    __slots__ = ()

    def begin_report(self, one: Round, out: Out) -> None:
        """The device was there when it was looked up."""

    def reported(self, one: Round, out: Out) -> None:
        """Nobody waits."""


CLASSES: Final[dict[str, type]] = {"intel_iommu": ReportsUnlocked}
