"""After a reset the old domain is the static blocking one, and the driver looks for its list.

There is no structure around it: what is read is whatever stands beside it in memory.
"""

from typing import Final

from actors.intel_iommu import IntelIommu
from protocol.domains import NULL
from protocol.effects import Out
from protocol.facts import MemoryUsed
from protocol.names import Name

SOURCE: Final = "a6dea58d8625, CVE-2026-52953, 2026"


class TakesItForAFullOne(IntelIommu):
    """Every domain is a dmar_domain."""

    __slots__ = ()

    def recorded(self, domain: Name, out: Out) -> Name:
        """Whatever it is."""
        if domain != NULL and super().recorded(domain, out) == NULL:
            out.record(MemoryUsed("domain", f"ERR_PTR({domain})"))
        return super().recorded(domain, out)


CLASSES: Final[dict[str, type]] = {"intel_iommu": TakesItForAFullOne}
