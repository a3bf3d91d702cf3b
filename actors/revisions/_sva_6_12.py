"""The SVA core of Linux 6.12: no list of mms to flush, and on x86 every bind is refused.

Kernel page tables could stay in an IOMMU's caches after they were freed, and an x86 IOMMU walks
them.  Up to the mend (e37d5a2d60a3), which 6.12 has not, SVA is off there; 6.12.117 says so before
it looks at anything else.
"""

from dataclasses import dataclass
from typing import Final

from actors.sva import Sva
from actors.sva.state import Domain, Locked
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.sva import SvaDomainLinked, SvaDomainUnlinked, SvaDomainUsed
from protocol.messages.sva import SvaBindDevice
from protocol.names import Name

SOURCE: Final = "drivers/iommu/iommu-sva.c of Linux 6.12.117; 72f98ef9a4be (CVE-2025-71089)"


@dataclass(slots=True)
class Sva612(Sva):
    """`off`: the machine is an x86 one."""

    off: bool = False

    def early_refusal(self, request: Locked) -> Errno | None:
        """EOPNOTSUPP first of all, where SVA is off."""
        if self.off and isinstance(request, SvaBindDevice):
            return Errno.EOPNOTSUPP
        return super(Sva612, self).early_refusal(request)

    def link(self, mm: Name, domain: Name, out: Out) -> None:
        """Nobody asks whether there is a domain at all."""
        self.mms[mm].domains.insert(0, Domain(domain, 1))
        out.record(SvaDomainLinked(domain, mm))
        out.record(SvaDomainUsed(domain, 1))

    def unlink(self, mm: Name, domain: Domain, out: Out) -> None:
        """Found by nobody any more."""
        self.mms[mm].domains.remove(domain)
        out.record(SvaDomainUnlinked(domain.name, mm))


CLASSES: Final[dict[str, type]] = {"sva": Sva612}
