"""Topics whose messages are imported from their own modules; append a new one at the end."""

from protocol.messages.iommu_core import IommuCoreMessage
from protocol.messages.native import NativeMessage
from protocol.messages.sva import SvaMessage

TopicMessage = NativeMessage | IommuCoreMessage | SvaMessage
"""All of theirs."""
