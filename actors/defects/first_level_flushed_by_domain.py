"""What an mm takes away is flushed with the command of second levels, which its lines survive."""

from typing import Final

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import CacheTag, Task
from protocol.effects import Out
from protocol.messages import AnyMessage
from protocol.messages.pasid_table import InvalidateDomainIotlb, InvalidatePiotlb

SOURCE: Final = "04b1b069f151, 2025; fixes b33125296b50"


class FlushesByDomain(IntelIommu):
    """One kind of flush for all domains."""

    __slots__ = ()

    def flush_of(self, task: Task, tag: CacheTag, out: Out) -> AnyMessage:
        """By the domain id."""
        found = super().flush_of(task, tag, out)
        if not isinstance(found, InvalidatePiotlb):
            return found
        life = (found.call, found.device, found.pasid, found.incarnation)
        return InvalidateDomainIotlb(*life, found.did)


CLASSES: Final[dict[str, type]] = {"intel_iommu": FlushesByDomain}
