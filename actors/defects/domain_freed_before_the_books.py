"""The last unbind frees the domain first, and then takes it off the mm's list.

With the domain the last reference on the mm may go, and with that its PASID and its list.
"""

from typing import Final

from actors.sva import Sva
from actors.sva.state import Domain, Unbind
from protocol.effects import Out
from protocol.facts import MemoryFreed, MemoryUsed
from protocol.messages.sva import DomainFree
from protocol.names import IOMMU, Name

SOURCE: Final = "iommu/sva: Fix crash in iommu_sva_unbind_device(), 06e14c36e20b, CVE-2026-23429"
KIND: Final = "iommu_mm"


class FreesFirst(Sva):
    """The books come last."""

    __slots__ = ()

    def unlink_and_free(self, unbind: Unbind, mm: Name, domain: Domain, out: Out) -> None:
        """Mmdrop is in the free of the domain."""
        self.let_go(mm, domain.name, out)
        out.send(IOMMU, DomainFree(unbind.number, domain.name))

    def end_unbind(self, unbind: Unbind, out: Out) -> None:
        """Then the mm's list is looked at."""
        bond = self.bonds[unbind.request.handle]
        mm = self.mms.get(bond.mm)
        if mm is None:
            out.record(MemoryFreed(KIND, bond.mm))
            out.record(MemoryUsed(KIND, bond.mm))
        else:
            for domain in [one for one in mm.domains if one.name == bond.domain and not one.users]:
                self.unlink(bond.mm, domain, out)
        super().end_unbind(unbind, out)


CLASSES: Final[dict[str, type]] = {"sva": FreesFirst}
