"""What is stated of guests on a modern kernel: vIOMMUs, and what their VMM has made (§8)."""

from protocol.facts.event import Event


class VdeviceMade(Event, frozen=True, tag="vdevice.made"):
    """iommufd: `device`, an object, has the vDevice `id`."""

    id: int
    device: int


class VdeviceBuried(Event, frozen=True, tag="vdevice.buried"):
    """iommufd: the vDevice went with its device; the id stays taken."""

    id: int


GuestFact = VdeviceMade | VdeviceBuried
"""All of them."""
