"""A bind that fails undoes what it did itself, and nothing that was there before.

Nobody has been told anything before BIND; if that went out, UNBIND follows it.  An entry that was
written may have been used, so it goes by the whole teardown, drain included.

Kernel: the error exits of intel_svm_bind_gpasid in drivers/iommu/intel/svm.c.  §4.2 (mends S9,
S10, S40).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_driver.state import Bind, DevState, Step
from actors.iommu_driver.svm import free_sdev, give_up
from protocol.effects import Out
from protocol.errors import Errno

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver


def bind_refused(driver: IommuDriver, bind: Bind, errno: Errno, out: Out) -> None:
    """The call it waited for has failed, and so does the bind."""
    match bind.step:
        case Step.FIND_PASID | Step.GET_PASID:
            give_up(driver, bind, errno, out)
        case Step.ATTACH_DATA | Step.WRITE_ENTRY:
            driver.undo(bind, errno, out)
        case Step.ATTACH_SPID:
            # ENOMEM: BIND went out and somebody said BAD.  Then UNBIND has to follow.
            driver.svms[bind.pasid].has_spid = errno is Errno.ENOMEM
            driver.undo(bind, errno, out)
        case _:
            driver.teardown_refused(bind, out)


def undo(driver: IommuDriver, bind: Bind, errno: Errno, out: Out) -> None:
    """Entry, SPID, data, reference: what this bind did, and in this order."""
    bind.errno = errno
    svm = driver.svms[bind.pasid]
    sdev = svm.devices.get(bind.device)
    if sdev is not None and sdev.state is DevState.LINKED:
        driver.unlink(bind, out)
        return

    if sdev is not None:
        free_sdev(svm, bind.device, out)  # No entry of ours was written.
    driver.leave_svm(bind, out)
