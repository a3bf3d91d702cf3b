"""One PASID table for each device (March 2023): a sibling does not see what is attached.

The lock, the owner and DMA without PASID stay the group's.  A look-up goes to the table of a
device; asked by a group's name it sees DMA without PASID alone.
"""

from typing import Final

from actors.iommu_core import IommuCore
from actors.iommu_core.state import ITS_OWN, Dev, GroupState, Table
from protocol.names import Name

SOURCE: Final = "mails of 7 and 8 Mar 2023: the table as the device's own, or in the device"
DATE: Final = "2023-03-08"


class DeviceTableCore(IommuCore):
    """A PASID concerns one device."""

    __slots__ = ()

    def table(self, group: GroupState, device: Name) -> Table:
        """The device's own; the RID's, which has no device, is the group's."""
        return group.tables.setdefault(device, {})

    def owner_of_slots(self, group: GroupState, device: Name) -> Name:
        """The device, for its own."""
        return device or group.name

    def table_seen(self, name: Name) -> Table:
        """A device's, with what its group has for DMA without PASID."""
        device = self.devices.get(name)
        if device is None or device.group not in self.groups:
            return super().table_seen(name)
        tables = self.groups[device.group].tables
        return {**tables.get(ITS_OWN, {}), **tables.get(name, {})}

    def asked(self, _group: GroupState, device: Dev) -> list[Dev]:
        """The device alone."""
        return [device] if device.max_pasids > 0 else []

    def on_left(self, group: GroupState, device: Name) -> None:
        """Its table goes with it."""
        for slot in group.tables.pop(device, {}).values():
            self.forget_handle(slot.handle)


CLASSES: Final[dict[str, type]] = {"iommu_core": DeviceTableCore}
