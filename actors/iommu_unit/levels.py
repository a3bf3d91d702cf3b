"""What the driver of a modern kernel says to a unit beyond §5: entries with levels, and FPD alone.

Kernel: drivers/iommu/intel/{pasid,cache}.c of Linux 7.3.  §8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, assert_never

from actors.iommu_unit import invalidation, table
from actors.iommu_unit.state import ByLevel
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import Done, Refused
from protocol.messages.pasid_table import (
    InvalidateDomainIotlb,
    InvalidatePiotlb,
    SetUpEntry,
    ZeroAllButFpd,
)
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommu_unit import IommuUnit

Inbox: TypeAlias = SetUpEntry | ZeroAllButFpd | ByLevel


def on_message(unit: IommuUnit, message: Inbox, driver: Name, out: Out) -> None:
    """The rest of the unit's table of contents."""
    match message:
        case InvalidatePiotlb() | InvalidateDomainIotlb():
            invalidation.submit(unit, message, driver, out)
        case SetUpEntry():
            on_set_up_entry(unit, message, driver, out)
        case ZeroAllButFpd():
            table.silence(unit, message, out)
            out.send(driver, Done(message.call))
        case _:
            assert_never(message)


def on_set_up_entry(unit: IommuUnit, setup: SetUpEntry, driver: Name, out: Out) -> None:
    """An entry never changes while it is present (N12)."""
    if unit.is_present((setup.device, setup.pasid)):
        out.send(driver, Refused(setup.call, Errno.EBUSY))
        return
    table.set_up(unit, setup, out)
    out.send(driver, Done(setup.call))
