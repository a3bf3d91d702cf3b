"""A page table is put into the list of its IOAS when it is made, and when it is attached.

It is taken out once, when it is destroyed: who then looks for a page table of the IOAS walks into
freed memory.
"""

from dataclasses import dataclass, field
from typing import Final

from actors.iommufd import Iommufd
from actors.iommufd.state import Paging
from protocol.names import Name, Pasid

SOURCE: Final = "b4ff830eca09, CVE-2023-54043, 2023"


@dataclass(slots=True)
class ListsTwice(Iommufd):
    """`twice`: the domains of those that were attached by hand, and their IOAS."""

    twice: list[tuple[Name, int]] = field(default_factory=list)

    def compatible(self, group: str, hwpt: int, pasid: Pasid) -> bool:
        """The first device of a group, and the list has one entry more."""
        table = self.objects[hwpt]
        if isinstance(table, Paging) and not table.auto:
            self.twice.append((table.domain, table.ioas))
        return Iommufd.compatible(self, group, hwpt, pasid)

    def listed(self, ioas: int) -> list[Name]:
        """With what nobody has taken out."""
        return [*Iommufd.listed(self, ioas), *(name for name, its in self.twice if its == ioas)]


CLASSES: Final[dict[str, type]] = {"iommufd": ListsTwice}
