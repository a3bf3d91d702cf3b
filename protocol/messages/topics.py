"""Topics whose messages are imported from their own modules; append a new one at the end."""

from protocol.messages.accelerators import AcceleratorMessage
from protocol.messages.address_spaces import AddressSpaceMessage
from protocol.messages.amnesia import AmnesiaMessage
from protocol.messages.guests import GuestMessage
from protocol.messages.hotplug import HotplugMessage
from protocol.messages.iommu_core import IommuCoreMessage
from protocol.messages.iommufd import IommufdMessage
from protocol.messages.native import NativeMessage
from protocol.messages.pasid_table import PasidTableMessage
from protocol.messages.probing import ProbingMessage
from protocol.messages.sva import SvaMessage
from protocol.messages.vfio_cdev import VfioCdevMessage

TopicMessage = (
    NativeMessage
    | IommuCoreMessage
    | SvaMessage
    | IommufdMessage
    | AddressSpaceMessage
    | PasidTableMessage
    | AcceleratorMessage
    | GuestMessage
    | ProbingMessage
    | VfioCdevMessage
    | HotplugMessage
    | AmnesiaMessage
)
"""All of theirs."""
