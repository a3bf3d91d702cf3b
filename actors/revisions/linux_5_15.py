"""Mainline of Oct 2021: a bind without a reference, drained, on each device's own unit.

The allocator, KVM and the VDCM are as in linux-5.11.  The drain lets pasid_mutex go for the fault
queue, page requests are reported to the guest, an unbind without an svm is success.

Has S6, S7 (unbind by device alone), S25c at the allocator; S12, S27 and S28 are mended.  Its S34c
and S46 are defects to put on top.  Native SVA: `_native_5_15`.
"""

from typing import Final

from actors.defects.driver_holds_no_reference import HoldsNoReference
from actors.defects.unbind_by_device_alone import UnbindsByDevice
from actors.revisions._native_5_8 import ForgetsItsPasid
from actors.revisions._native_5_15 import NativeDriver515
from actors.revisions.linux_5_11 import PlainCounts

SOURCE: Final = "drivers/iommu/intel/{svm,pasid}.c of 5.15, as in WSL2-Linux-Kernel 23b57c556609"
DATE: Final = "2021-10-31"


class MainlineDriver(HoldsNoReference, UnbindsByDevice):
    """svm.c without V4 14/18; SPIDs stand for what QEMU knows by heart: gpasid is hpasid."""

    __slots__ = ()


class Driver(MainlineDriver, NativeDriver515):
    """Guests and processes."""

    __slots__ = ()


CLASSES: Final[dict[str, type]] = {
    "core": PlainCounts,
    "iommu": Driver,
    "process": ForgetsItsPasid,
}
