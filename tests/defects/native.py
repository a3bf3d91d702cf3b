"""Mistakes about mms: of the driver that binds them, and of the process that owns one."""

from typing import ClassVar

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.native_state import Hold
from actors.process import Process
from protocol.effects import Out


class PutsThePasidFirst(IommuDriver):
    """O5.  The reference goes before what means the PASID."""

    MM_END: ClassVar[tuple[Hold, ...]] = (
        Hold.PASID,
        Hold.NOTIFIER,
        Hold.MSR,
        Hold.DATA,
        Hold.PIN,
    )


class LeavesTheMsrLoaded(IommuDriver):
    """R10, one half.  Unbind does not disable it."""

    MM_END: ClassVar[tuple[Hold, ...]] = (Hold.NOTIFIER, Hold.DATA, Hold.PASID, Hold.PIN)


class ExitsWithTheMsr(Process):
    """R10, the other half.  Nor does the end of the task."""

    def task_gone(self, out: Out) -> None:
        pass


class ForgetsItsPasid(Process):
    """N13.  The mm has none after the last unbind, and the next bind gets another."""

    def notifier_left(self) -> None:
        self.mm.pasid = self.mm.incarnation = 0
