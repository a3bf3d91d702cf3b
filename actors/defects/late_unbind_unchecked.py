"""An unbind that comes after the free takes the number's next life off its device.

A guest that unbinds late names a number that may be another guest's by now.  Only the check of the
owner confines that error to the guest which made it; here VFIO just takes a reference, as for a
caller in the kernel, and the driver does not ask for whom it unbinds.

Kernel: vfio_iommu_handle_pgtbl_op in drivers/vfio/vfio_iommu_type1.c before ioasid_get_if_owned was
there; intel_svm_unbind_gpasid in drivers/iommu/intel/svm.c, whose look-up names no set.
"""

from typing import Final

from msgspec import structs

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Svm
from actors.vfio import Vfio
from actors.vfio.state import CHECK, Bind, Unbind
from protocol.effects import Out
from protocol.messages import GetPasid, UnbindGpasid
from protocol.names import CORE, NO_SET

SOURCE: Final = "S11; v3 01/14 ioasid.rst, free before unbind; [PATCH V4 11/18]; rules N10 and N17"


class UnbindsForAnyone(Vfio):
    """The PASID of an unbind is kept while that lasts, whosever it is."""

    __slots__ = ()

    def check_owner(self, task: Bind | Unbind, out: Out) -> None:
        """A bind is still checked."""
        if isinstance(task, Unbind):
            get = GetPasid(task.number, NO_SET, task.pasid, task.incarnation, CHECK)
            out.send(CORE, get)
        else:
            super().check_owner(task, out)


class UnbindsWhosever(IommuDriver):
    """The svm is found by number and device."""

    __slots__ = ()

    def may_unbind(self, svm: Svm, request: UnbindGpasid) -> bool:
        """Every caller passes for the svm's own VM."""
        return super().may_unbind(svm, structs.replace(request, vm=svm.vm))


CLASSES: Final[dict[str, type]] = {"vfio": UnbindsForAnyone, "iommu": UnbindsWhosever}
