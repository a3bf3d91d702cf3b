"""VFIO's character device, /dev/vfio/devices/vfioN: a user's door to iommufd (§8).

A file is known to VFIO by a number.  Bound to an iommufd context its device is an object there, and
the user attaches page tables of that context to the device and to its PASIDs.  `argsz` is the size
that the user says its structure has.

Source: drivers/vfio/{device_cdev,iommufd,vfio_main}.c of Linux 7.3, include/uapi/linux/vfio.h.
"""

from typing import Final

from protocol.messages.common import Message
from protocol.names import Call, Name, Pasid

ATTACH_PASID: Final = "ATTACH_PASID"
"""Flag of AttachIommufdPt: it is about `pasid`, not about DMA without one."""
DETACH_PASID: Final = "DETACH_PASID"
"""Flag of DetachIommufdPt: it is about `pasid`, not about DMA without one."""
BIND_SIZE: Final = 16
"""argsz, out_devid included."""
ATTACH_SIZE: Final = 12
"""argsz of an attach without PASID, pt_id included."""
ATTACH_PASID_SIZE: Final = 16
DETACH_SIZE: Final = 8
DETACH_PASID_SIZE: Final = 12


class OpenCdev(Message, frozen=True, tag=True):
    """user -> VFIO, open(): -> CdevGot.  ENODEV it is not VFIO's device, ENOMEM.

    `group_fd`: the file comes from the device's VFIO group instead; it can be bound to nothing.
    """

    call: Call
    device: Name
    group_fd: bool = False


class CdevGot(Message, frozen=True, tag=True):
    """The file: it does nothing before it is bound."""

    call: Call
    file: int


class BindIommufd(Message, frozen=True, tag=True):
    """user -> VFIO, VFIO_DEVICE_BIND_IOMMUFD: -> ObjectGot, the device in the context.

    `iommufd`: the context's name, by default the user's own.  EINVAL argsz, flags, a negative file
    descriptor (`-1`), a file of a group, the file or another one of the device is bound; EBADF no
    such file or context; what the claim and the device's open_device say; EFAULT.
    """

    call: Call
    file: int
    iommufd: Name = ""
    flags: tuple[str, ...] = ()
    argsz: int = BIND_SIZE


class AttachIommufdPt(Message, frozen=True, tag=True):
    """user -> VFIO, VFIO_DEVICE_ATTACH_IOMMUFD_PT: -> PtGot, with the page table of an IOAS.

    In place of what is attached already.  EINVAL argsz, unknown flag, not bound; EOPNOTSUPP the
    device's driver attaches no PASIDs; ENOSPC a PASID of 2**31 or more; ENOMEM; what iommufd says;
    EFAULT: it is detached again.
    """

    call: Call
    file: int
    pt: int
    pasid: Pasid = 0
    flags: tuple[str, ...] = ()
    argsz: int = ATTACH_PASID_SIZE


class DetachIommufdPt(Message, frozen=True, tag=True):
    """user -> VFIO, VFIO_DEVICE_DETACH_IOMMUFD_PT: Done, also when nothing is attached.

    EINVAL argsz, unknown flag, not bound; EOPNOTSUPP as above.
    """

    call: Call
    file: int
    pasid: Pasid = 0
    flags: tuple[str, ...] = ()
    argsz: int = DETACH_PASID_SIZE


class CloseCdev(Message, frozen=True, tag=True):
    """user -> VFIO, close(): Done when the file is released.  EBADF no such file.

    That is when no other call is under way on it; what is attached is detached, then it is unbound.
    """

    call: Call
    file: int


VfioCdevMessage = OpenCdev | CdevGot | BindIommufd | AttachIommufdPt | DetachIommufdPt | CloseCdev
"""All of them."""
