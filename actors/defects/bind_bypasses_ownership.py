"""A bind that does not come through the ioctl's check binds another VM's PASID.

The driver leaves it to its callers to know whose a PASID is: its own look-up names no set.  So a
caller in the kernel that only takes a reference, as for any PASID, nests one guest's table under
the number of another.

Kernel: intel_svm_bind_gpasid in drivers/iommu/intel/svm.c of the Intel data-centre kernel ("DCP"),
where the set check is switched off by a NULL set.
"""

from typing import Final

from actors.vfio import Vfio
from actors.vfio.state import CHECK, Bind, Unbind
from protocol.effects import Out
from protocol.messages import GetPasid
from protocol.names import CORE, NO_SET

SOURCE: Final = "S33; DCP svm.c; J. Gunthorpe and J. Pan on V4, Mar 2021; rule N10"


class BindsForAnyone(Vfio):
    """The PASID of a bind is kept while that lasts, whosever it is."""

    __slots__ = ()

    def check_owner(self, task: Bind | Unbind, out: Out) -> None:
        """An unbind is still checked."""
        if isinstance(task, Bind):
            get = GetPasid(task.number, NO_SET, task.pasid, task.incarnation, CHECK)
            out.send(CORE, get)
        else:
            super().check_owner(task, out)


CLASSES: Final[dict[str, type]] = {"vfio": BindsForAnyone}
