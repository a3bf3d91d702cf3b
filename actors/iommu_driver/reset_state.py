"""A function reset as the driver sees it: one more kind of task (§5.7)."""

from enum import Enum

from msgspec import Struct

from protocol.names import Call, Name


class ResetStep(Enum):
    """FENCE_IN: what the device had posted.  FENCE_OUT: what it is still being answered."""

    FENCE_IN = "DrainRequests"
    SCAN = "ReadPrq"
    ROUND = "a PRQ round, then ReadPrq"
    FENCE_OUT = "DrainRequests again"


class Reset(Struct, tag=True):
    """Drain and discard for a device that is out of service."""

    number: Call
    device: Name
    step: ResetStep = ResetStep.FENCE_IN
