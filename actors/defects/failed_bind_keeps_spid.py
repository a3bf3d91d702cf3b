"""A first bind that fails after BIND leaves the SPID attached: no UNBIND is sent.

Who heard BIND keeps what he has: a right to submit, a table entry.  The next bind of the PASID is
refused, because it has an SPID already, and the number comes back with the SPID on it.

Kernel: the error exit of intel_svm_bind_gpasid in "[PATCH V4 14/18] iommu/vt-d: Listen to IOASID
notifications" and in the Intel data-centre kernel: ioasid_attach_spid has no ioasid_detach_spid.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Bind, Operation
from protocol.effects import Out

SOURCE: Final = "S9; [PATCH V4 14/18] iommu/vt-d: Listen to IOASID notifications, 27 Feb 2021"


class ForgetsTheSpid(IommuDriver):
    """Undoing goes on with the data at once."""

    __slots__ = ()

    def detach_spid(self, task: Operation, out: Out) -> None:
        """Only an unbind, or FREE, detaches."""
        if not isinstance(task, Bind):
            super().detach_spid(task, out)
            return
        self.svms[task.pasid].has_spid = False
        self.end_svm(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": ForgetsTheSpid}
