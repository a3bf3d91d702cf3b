"""What the driver remembers of native binds beside its svms (§4.9).

Kernel: intel_svm_bind_mm, intel_svm_unbind_mm and intel_mm_release in drivers/iommu/intel/svm.c.
"""

from enum import Enum
from typing import Final

from msgspec import Struct

from protocol.names import Call, Incarnation, Name, Pasid

MM: Final = "mm"
"""Format of a bind that has no guest's table: the first level is the mm's own."""
NATIVE_DID: Final = 1
"""FLPT_DEFAULT_DID: the domain id of all native entries."""


class Hold(Enum):
    """What the svm of an mm rests on; the driver's `MM_END` says in which order they go."""

    NOTIFIER = "mm notifier"
    MSR = "IA32_PASID loaded"
    DATA = "private data"
    PASID = "PASID"
    PIN = "mm struct"


class MmStep(Enum):
    """What a native task waits for, where no guest's task waits: mostly the answer to a call.

    UNPIN: a bind gives back a pin that it does not need.  RELEASE: a callback is under way.  END:
    what the svm rests on goes.  (Numbers, so that a state written out tells it from a `Step`.)
    """

    MUTEX = 1
    PIN = 2
    HOST_SET = 3
    ALLOC = 4
    ASSIGN = 5
    GET = 6
    ATTACH_DATA = 7
    REGISTER = 8
    LOAD_MSR = 9
    UNPIN = 10
    RELEASE = 11
    END = 12
    CLEAR_PRESENT = 13
    INVALIDATE_PASID_CACHE = 14
    INVALIDATE_IOTLB = 15
    INVALIDATE_DEV_TLB = 16


class Release(Struct, tag=True):
    """MmRelease: the devices of the svm one after the other, the first of `devices` now.

    It takes no mutex and may look at no svm_dev: an unbind may be under way (kernel: RCU).
    """

    number: Call
    asker: Name
    call: Call
    pasid: Pasid
    incarnation: Incarnation
    devices: list[tuple[Name, int]]
    step: MmStep = MmStep.CLEAR_PRESENT
