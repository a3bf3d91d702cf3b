"""A bind that fails: what it had taken goes, but for the mm's PASID (I41).

Kernel: iommu_sva_bind_device of Linux 7.3; 9991a82a3817.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.sva.state import Bind, Mm
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.sva import BondFreed, SvaBindAnswered
from protocol.messages.common import Refused

if TYPE_CHECKING:
    from actors.sva import Sva


def fail(sva: Sva, bind: Bind, errno: Errno, out: Out) -> None:
    """Nothing stays but the PASID, if it has come to that."""
    sva.free_handle(bind, out)
    mm = sva.mms.get(bind.request.mm)
    if mm == Mm():
        del sva.mms[bind.request.mm]
    out.record(SvaBindAnswered(bind.request.device, bind.request.mm, "", errno.value))
    sva.end(bind, out)
    out.send(bind.sender, Refused(bind.request.call, errno))


def free_handle(_sva: Sva, bind: Bind, out: Out) -> None:
    """The memory for a bond that has come to nothing (9991a82a3817)."""
    if bind.handle:
        out.record(BondFreed(bind.handle))
