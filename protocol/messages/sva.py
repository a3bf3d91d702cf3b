"""Shared virtual addressing in the modern stack: bonds of devices and address spaces (§8).

Requests come from the driver of a device (idxd, uacce) and from an mm; what the SVA core asks of
the IOMMU driver is named last, what it asks of the IOMMU core is in `iommu_core`.  An mm is known
by the process that it is of; an empty name is NULL.

Source: drivers/iommu/iommu-sva.c of Linux 7.3; the last three drivers/iommu/iommu-sva-lib.c of 6.1.
"""

from protocol.messages.common import Message
from protocol.names import Call, Name, Pasid


class SvaBindDevice(Message, frozen=True, tag=True):
    """iommu_sva_bind_device: -> SvaBindDeviceGot.

    ENODEV no group, EBUSY the slot is another's or the mm's addresses are tagged, EOVERFLOW the
    mm's PASID is beyond the device, ENOSPC no number, ENOMEM, else what attach or the driver says.
    """

    call: Call
    device: Name
    mm: Name


class SvaBindDeviceGot(Message, frozen=True, tag=True):
    """The bond of the device's group and the mm: the same one for each bind of the pair."""

    call: Call
    handle: Name


class SvaUnbindDevice(Message, frozen=True, tag=True):
    """iommu_sva_unbind_device: one user less; the last one ends the bond.  Always Done."""

    call: Call
    handle: Name


class SvaGetPasid(Message, frozen=True, tag=True):
    """iommu_sva_get_pasid, without the lock: -> SvaGetPasidGot."""

    call: Call
    handle: Name


class SvaGetPasidGot(Message, frozen=True, tag=True):
    """The PASID of the bond's mm, or INVALID_PASID."""

    call: Call
    pasid: Pasid


class MmPasidDrop(Message, frozen=True, tag=True):
    """mm_pasid_drop, without the lock: whoever else held the mm's struct has dropped it.

    The PASID goes when no SVA domain holds the struct any more either; then it is Done.
    """

    call: Call
    mm: Name


class EnableLam(Message, frozen=True, tag=True):
    """prctl, of a process: its pointers carry tags (LAM).  EINVAL the mm has a PASID."""

    call: Call
    mm: Name


class ForceTaggedSva(Message, frozen=True, tag=True):
    """prctl, of a process: PASID and tags may be had together, devices are given none.  Done."""

    call: Call
    mm: Name


class DomainAllocSva(Message, frozen=True, tag=True):
    """sva -> driver, domain_alloc_sva: -> DomainAllocSvaGot.  EOPNOTSUPP it has none, ENOMEM."""

    call: Call
    device: Name
    mm: Name


class DomainAllocSvaGot(Message, frozen=True, tag=True):
    """A domain whose page table is the mm's."""

    call: Call
    domain: Name


class DomainFree(Message, frozen=True, tag=True):
    """sva -> driver, domain_free: it is attached nowhere.  Done."""

    call: Call
    domain: Name


class SvaAllocPasid(Message, frozen=True, tag=True):
    """iommu_sva_alloc_pasid (up to 6.1): the mm gets a PASID in [min, max], or has one.

    EINVAL no such range, EOVERFLOW the one it has is not in it, ENOMEM none free.
    """

    call: Call
    mm: Name
    min: Pasid
    max: Pasid


class SvaFind(Message, frozen=True, tag=True):
    """iommu_sva_find (up to 6.1): -> SvaFindGot.  ENOENT nobody's number."""

    call: Call
    pasid: Pasid


class SvaFindGot(Message, frozen=True, tag=True):
    """The mm with a user more, or NULL: it is dying."""

    call: Call
    mm: Name


SvaMessage = (
    SvaBindDevice
    | SvaBindDeviceGot
    | SvaUnbindDevice
    | SvaGetPasid
    | SvaGetPasidGot
    | MmPasidDrop
    | EnableLam
    | ForceTaggedSva
    | DomainAllocSva
    | DomainAllocSvaGot
    | DomainFree
    | SvaAllocPasid
    | SvaFind
    | SvaFindGot
)
"""All of them."""
