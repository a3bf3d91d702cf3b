"""BIND is sent before the PASID-table entry is written, so the guest is let in too early.

KVM translates as soon as it hears BIND.  Until the entry is there, each command of the guest ends
in a fault; and if the rest of the bind fails, all this has been for nothing.

Kernel: intel_svm_bind_gpasid of "[PATCH V4 14/18] iommu/vt-d: Listen to IOASID notifications" and
of the Intel data-centre kernel: ioasid_attach_spid comes before intel_pasid_setup_nested.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Bind, Step
from protocol.effects import Out

SOURCE: Final = "S9; [PATCH V4 14/18] iommu/vt-d: Listen to IOASID notifications, 27 Feb 2021"


class AttachesFirst(IommuDriver):
    """The SPID is attached when the svm is made, and not again at the end."""

    __slots__ = ()

    def make_sdev(self, bind: Bind, out: Out) -> None:
        """The first bind tells everybody before it does anything to a device."""
        if bind.first and bind.step is Step.ATTACH_DATA:
            self.attach_spid(bind, out)
        else:
            super().make_sdev(bind, out)

    def bind_goes_on(self, bind: Bind, out: Out) -> None:
        """Now the entry; the link of it is the end."""
        if bind.step is Step.ATTACH_SPID and not self.svms[bind.pasid].devices:
            self.svms[bind.pasid].has_spid = True
            self.make_sdev(bind, out)
        elif bind.step is Step.WRITE_ENTRY and bind.first:
            bind.first = False
            super().bind_goes_on(bind, out)
        else:
            super().bind_goes_on(bind, out)


CLASSES: Final[dict[str, type]] = {"iommu": AttachesFirst}
