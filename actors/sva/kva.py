"""Page tables of the kernel are to be freed: an IOMMU that walks an mm's has theirs cached, too.

Under the lock, so that no domain comes or goes meanwhile: every domain of every mm is flushed.

Kernel: iommu_sva_invalidate_kva_range of Linux 7.3; e37d5a2d60a3.  §8 (I31).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.sva.state import Kva
from protocol.effects import Out
from protocol.facts.accelerators import KvaFlushBegun, KvaFlushed, KvaFlushEnded
from protocol.messages.address_spaces import InvalidateKva, InvalidateSecondaryTlbs
from protocol.messages.common import Done
from protocol.names import IOMMU, Name

if TYPE_CHECKING:
    from actors.sva import Sva

WHOLE: Final = 0
"""No page in particular."""


def on_invalidate_kva(sva: Sva, request: InvalidateKva, sender: Name, out: Out) -> None:
    """Without any domain nothing is asked, not even the lock."""
    if not sva.present:
        out.send(sender, Done(request.call))
        return
    sva.on_locked(request, sender, out)


def begin_kva(sva: Sva, kva: Kva, out: Out) -> None:
    """It has the lock: mm by mm, domain by domain."""
    sva.take(kva, out)
    out.record(KvaFlushBegun())
    kva.left = [domain.name for mm in sva.mms.values() for domain in mm.domains]
    _next(sva, kva, out)


def go_on_flushing(sva: Sva, kva: Kva, out: Out) -> None:
    """Nothing has that domain's translations cached any more."""
    out.record(KvaFlushed(kva.asked))
    _next(sva, kva, out)


def _next(sva: Sva, kva: Kva, out: Out) -> None:
    if kva.left:
        kva.asked = kva.left.pop(0)
        out.send(IOMMU, InvalidateSecondaryTlbs(kva.number, kva.asked, WHOLE))
        return
    out.record(KvaFlushEnded())
    sva.end(kva, out)
    out.send(kva.sender, Done(kva.request.call))
