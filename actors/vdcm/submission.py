"""A descriptor that goes by the slow path, from the trap to the put (§4.6)."""

from enum import Enum

from msgspec import Struct

from protocol.messages import GuestEnqcmd
from protocol.names import Incarnation, Name, Pasid


class SubmissionStep(Enum):
    """What a submission waits for."""

    FIND = "find"
    DEVICE = "device"
    PUT = "put"


class Submission(Struct, tag=True):
    """A trapped ENQCMD.  `entitled`: the PASID may be submitted; `accepted`: the device has it."""

    guest: Name
    command: GuestEnqcmd
    pasid: Pasid = 0
    incarnation: Incarnation = 0
    step: SubmissionStep = SubmissionStep.FIND
    entitled: bool = False
    accepted: bool = False
