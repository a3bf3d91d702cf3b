"""The IOMMU core of the modern stack: PASIDs of devices, groups and their handles, owners (§8).

Requests come from whoever attaches (SVA, iommufd, a device's driver); what goes on to the driver is
named last.  A group is known by one of its devices, as in the kernel.  An empty name is NULL:
no handle, no old domain.  `incarnation` is the ghost of the caller's PASID.

Source: drivers/iommu/iommu.c of Linux 7.3, include/linux/iommu.h.
"""

from protocol.messages.common import Message
from protocol.names import Call, Incarnation, Name, Pasid


class AttachDevicePasid(Message, frozen=True, tag=True):
    """iommu_attach_device_pasid: the PASID gets `domain` on all devices of the device's group.

    ENODEV no group, EOPNOTSUPP, EINVAL, EBUSY slot taken or group in recovery, else the driver's.
    """

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    domain: Name
    handle: Name


class ReplaceDevicePasid(Message, frozen=True, tag=True):
    """iommu_replace_device_pasid: as attach, of a slot that is taken; `handle` is a new one."""

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    domain: Name
    handle: Name


class DetachDevicePasid(Message, frozen=True, tag=True):
    """iommu_detach_device_pasid: cannot fail, and looks at nothing: always Done."""

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    domain: Name


class AttachHandleGet(Message, frozen=True, tag=True):
    """iommu_attach_handle_get, without the group's lock: -> AttachHandleGot; `kind` empty: any.

    ENOENT nothing to be seen or no handle, EBUSY the handle's domain is of another kind.
    """

    call: Call
    group: Name
    pasid: Pasid
    kind: str


class AttachHandleGot(Message, frozen=True, tag=True):
    """The handle that is in place, and the domain that it says (handle->domain)."""

    call: Call
    handle: Name
    domain: Name = ""


class AttachGroupHandle(Message, frozen=True, tag=True):
    """iommu_attach_group_handle: DMA without PASID.  EBUSY taken, EINVAL no handle."""

    call: Call
    group: Name
    domain: Name
    handle: Name


class ReplaceGroupHandle(Message, frozen=True, tag=True):
    """iommu_replace_group_handle: whatever is there, also nothing.  EINVAL no handle."""

    call: Call
    group: Name
    domain: Name
    handle: Name


class DetachGroupHandle(Message, frozen=True, tag=True):
    """iommu_detach_group_handle: back to the core's own domain; always Done."""

    call: Call
    group: Name
    domain: Name
    handle: Name


class ClaimDmaOwner(Message, frozen=True, tag=True):
    """iommu_device_claim_dma_owner: counted for the same owner.

    EINVAL no owner, ENODEV no group, EPERM another owner, EBUSY in use.
    """

    call: Call
    device: Name
    owner: Name


class ReleaseDmaOwner(Message, frozen=True, tag=True):
    """iommu_device_release_dma_owner: one claim less; the last only with no PASID attached.

    Always Done.
    """

    call: Call
    device: Name


class AllocGlobalPasid(Message, frozen=True, tag=True):
    """iommu_alloc_global_pasid: the lowest free number below the device's limit.

    ENOSPC stands for IOMMU_PASID_INVALID.
    """

    call: Call
    device: Name


class AllocGlobalPasidGot(Message, frozen=True, tag=True):
    """The number is the caller's."""

    call: Call
    pasid: Pasid
    incarnation: Incarnation


class FreeGlobalPasid(Message, frozen=True, tag=True):
    """iommu_free_global_pasid: whoever frees it frees it; always Done."""

    call: Call
    pasid: Pasid
    incarnation: Incarnation


class ResetPrepare(Message, frozen=True, tag=True):
    """pci_dev_reset_iommu_prepare: the device is blocked until as many ResetDone have come."""

    call: Call
    device: Name


class ResetDone(Message, frozen=True, tag=True):
    """pci_dev_reset_iommu_done: the last one gives the device what its group has; always Done."""

    call: Call
    device: Name


class PlugDevice(Message, frozen=True, tag=True):
    """iommu_probe_device: the device joins its group, behind those that are there.

    EBUSY it is there already.
    """

    call: Call
    device: Name


class UnplugDevice(Message, frozen=True, tag=True):
    """iommu_deinit_device: it leaves its group, and no PASID is taken from it; always Done."""

    call: Call
    device: Name


class SetDevPasid(Message, frozen=True, tag=True):
    """core -> driver, set_dev_pasid, under the group's lock; `old` is what the core says was there.

    Done, or Refused, which has changed nothing.  The blocking domain takes the PASID away.
    """

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    domain: Name
    old: Name


class RemoveDevPasid(Message, frozen=True, tag=True):
    """core -> driver, remove_dev_pasid (up to 6.12): the PASID goes from the device.  Done."""

    call: Call
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    domain: Name


IommuCoreMessage = (
    AttachDevicePasid
    | ReplaceDevicePasid
    | DetachDevicePasid
    | AttachHandleGet
    | AttachHandleGot
    | AttachGroupHandle
    | ReplaceGroupHandle
    | DetachGroupHandle
    | ClaimDmaOwner
    | ReleaseDmaOwner
    | AllocGlobalPasid
    | AllocGlobalPasidGot
    | FreeGlobalPasid
    | ResetPrepare
    | ResetDone
    | PlugDevice
    | UnplugDevice
    | SetDevPasid
    | RemoveDevPasid
)
"""All of them."""
