"""Function-level reset: the device empties, and stays out of service until it is told (§5.7).

Descriptors are aborted.  Page groups are cancelled: a late answer finds nothing that is owed.  The
reset is over when all translations that are on their way have come back; then the device TLB is
empty.  The configuration of the work queues stays, as the driver restores it after a reset.

Kernel: pcie_flr; idxd_reset_prepare and idxd_reset_done.  VT-d specification 7.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.device import work
from actors.device.state import Service
from protocol.effects import Out
from protocol.facts import CacheFlushed, FunctionReset, FunctionReturned, PageSettled
from protocol.messages import DeviceReset
from protocol.names import IOMMU

if TYPE_CHECKING:
    from actors.device import Device

CANCELLED: Final = -1
"""Recorded in place of a code for a group that nobody waits for any more."""


def begin(device: Device, out: Out) -> None:
    """A device that is out of service has nothing more to lose."""
    if device.service is not Service.IN:
        return

    for number in list(device.descriptors):
        work.abort(device, number, out)
    for number, group in device.groups.items():
        out.record(PageSettled(device.name, group.pasid, group.incarnation, number, CANCELLED))
    device.groups.clear()
    device.service = Service.RESETTING
    look_whether_empty(device, out)


def look_whether_empty(device: Device, out: Out) -> None:
    """Nothing that comes back any more: the TLB goes last, since each of them may fill it."""
    if device.service is not Service.RESETTING or device.descriptors:
        return

    for pasid, lines in device.tlb.items():
        any_line = next(iter(lines.values()))
        out.record(CacheFlushed("device-tlb", device.name, pasid, any_line.incarnation))
    device.tlb.clear()
    device.service = Service.OUT
    out.record(FunctionReset(device.name))
    out.send(IOMMU, DeviceReset())


def end(device: Device, out: Out) -> None:
    """From here on new groups may have the numbers of those that were cancelled."""
    if device.service is Service.OUT:
        device.service = Service.IN
        out.record(FunctionReturned(device.name))
