"""A device comes to its IOMMU's driver, and goes from it, when it is plugged and unplugged (§8).

Source: iommu_init_device, iommu_deinit_device in drivers/iommu/iommu.c of Linux 7.3;
intel_iommu_probe_device, intel_iommu_release_device.
"""

from protocol.messages.common import Message
from protocol.names import Call, Name


class ProbeDevice(Message, frozen=True, tag=True):
    """core -> driver, probe_device, under the group's lock: its page requests are looked for."""

    call: Call
    device: Name


class ReleaseDevice(Message, frozen=True, tag=True):
    """core -> driver, release_device, under the group's lock: Done when the driver is off it.

    No page request of it is being reported then, and none will be (def054b01a86).
    """

    call: Call
    device: Name


HotplugMessage = ProbeDevice | ReleaseDevice
"""All of them."""
