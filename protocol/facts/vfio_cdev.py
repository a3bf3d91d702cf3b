"""What VFIO states of its devices in a modern kernel."""

from protocol.facts.event import Event
from protocol.names import Name, Pasid


class AttachmentsKept(Event, frozen=True, tag="vfio_cdev.attachments_kept"):
    """A call lets go of VFIO's lock: the device has `pasids`, and DMA without one (`attached`).

    `call` is `bind`, `attach`, `detach` (of `pasid`; 0: of DMA without one) or `close`, which was
    refused with `errno`, if with any.
    """

    device: Name
    pasids: tuple[Pasid, ...]
    attached: bool
    call: str
    pasid: Pasid
    errno: str


VfioCdevFact = AttachmentsKept
"""All of them."""
