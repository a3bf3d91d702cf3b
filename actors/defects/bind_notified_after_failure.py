"""BIND is sent at the end of a bind even if the bind has failed.

The notification stands behind the common exit.  KVM then translates to a PASID that no device is
bound to, and no UNBIND follows, because there is nothing to unbind.

Kernel: intel_svm_bind_gpasid of drivers/iommu/intel/svm.c in Yi Liu's linux-vsva, 2020, notifies
after the unlock and does not look at its return value.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Bind, Operation, Step
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import AttachSpid
from protocol.names import CORE

SOURCE: Final = "S9; drivers/iommu/intel/svm.c of linux-vsva, 69cb72063065, 2020"


class NotifiesAtTheExit(IommuDriver):
    """A first bind that has failed, and has undone all that it did, attaches the SPID."""

    __slots__ = ()

    def finish(self, task: Operation, out: Out) -> None:
        """The exit of the good and of the bad."""
        if isinstance(task, Bind) and task.first and task.errno and task.step is not Step.MUTEX:
            bind, task.step = task.request, Step.MUTEX  # Nothing else is waited for.
            attach = AttachSpid(task.number, bind.pasid, bind.incarnation, bind.gpasid)
            out.send(CORE, attach)
        else:
            super().finish(task, out)

    def bind_goes_on(self, bind: Bind, out: Out) -> None:
        """Everybody has been told."""
        if bind.errno and bind.step is Step.MUTEX:
            self.finish(bind, out)
        else:
            super().bind_goes_on(bind, out)

    def bind_refused(self, bind: Bind, errno: Errno, out: Out) -> None:
        """What became of the notification is not looked at."""
        if bind.errno and bind.step is Step.MUTEX:
            self.finish(bind, out)
        else:
            super().bind_refused(bind, errno, out)


CLASSES: Final[dict[str, type]] = {"iommu": NotifiesAtTheExit}
