"""IOTLB invalidations by domain id and level, as the driver of a modern kernel submits them (§5.5).

Lines are found by domain id and PASID, whichever device filled them.  PASID-based invalidation
takes what a first level had a part in, domain-selective what a second level had.  The lines of a
nested entry have both; what is cached of its second level alone goes with the domain only.

Kernel: qi_flush_piotlb, qi_flush_iotlb in drivers/iommu/intel; 8798d3641119, 04b1b069f151.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_unit.state import ByLevel, Line, Tag
from actors.iommu_unit.table import SECOND_LEVEL
from protocol.effects import Out
from protocol.facts import CacheFlushed
from protocol.messages.pasid_table import FIRST, SECOND, InvalidatePiotlb

if TYPE_CHECKING:
    from actors.iommu_unit import IommuUnit


def flush(unit: IommuUnit, invalidation: ByLevel, out: Out) -> None:
    """Every tag of which no line is left is stated, and the one on whose behalf it was."""
    own = (invalidation.device, invalidation.pasid)
    for tag in list(unit.iotlb):
        lines = unit.iotlb[tag]
        any_line = next(iter(lines.values()))
        for page in [page for page, line in lines.items() if takes(invalidation, tag, page, line)]:
            del lines[page]
        if not lines:
            del unit.iotlb[tag]
            if tag != own:
                out.record(CacheFlushed("iotlb", *tag, any_line.incarnation))
    if own not in unit.iotlb and invalidation.device in unit.has_ats:
        out.record(CacheFlushed("iotlb", *own, invalidation.incarnation))


def takes(invalidation: ByLevel, tag: Tag, page: int, line: Line) -> bool:
    """Whether it takes this line."""
    if line.did != invalidation.did:
        return False
    if not isinstance(invalidation, InvalidatePiotlb):
        return line.kind != FIRST
    if tag[1] != invalidation.pasid or line.kind == SECOND or page == SECOND_LEVEL:
        return False
    return invalidation.page in (0, page)
