"""What is answered behind the drain of a detach is left on its way to the device.

The PASID may be another's when the device has it.  Linux 7.3 is thought to do so: the drain is the
driver's, and over when iommufd answers; nobody has reported that it hurts.
"""

from typing import Final

from actors.iopf import Iopf
from actors.iopf.state import Request

SOURCE: Final = "iommufd_hwpt_detach_device, iommufd_auto_response_faults of Linux 7.3; derived"


class WaitsForNobody(Iopf):
    """The answer is on its way."""

    __slots__ = ()

    def settles(self, _request: Request) -> bool:
        """It goes on at once."""
        return False


CLASSES: Final[dict[str, type]] = {"iopf": WaitsForNobody}
