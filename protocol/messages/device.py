"""What a guest says to KVM and the VDCM, and what those say to the device (§4.5 to §4.7)."""

from enum import Enum, IntEnum

from protocol.messages.common import Message
from protocol.names import Call, Gpasid, Incarnation, Name, Pasid


class Status(Enum):
    """How a descriptor ended."""

    SUCCESS = "success"
    FAULT = "fault"
    ABORT = "abort"


class OpenVm(Message, frozen=True, tag=True):
    """guest -> KVM: first vCPU created; KVM registers its notifier.

    EBUSY, ENOMEM from the core.
    """

    call: Call


class GuestEnqcmd(Message, frozen=True, tag=True):
    """guest -> KVM: a vCPU executes ENQCMD with `gpasid`: -> GuestEnqcmdGot or VmExit.

    Or guest -> VDCM, which traps it while the portal is not mapped (migration): -> GuestEnqcmdGot;
    ENODEV not open, EINVAL a dedicated WQ, ENXIO no PASID or none that may be submitted.

    `page` is the page the descriptor touches, `mapped` whether the guest's table has it.
    """

    call: Call
    device: Name
    gpasid: Gpasid
    tag: int
    page: int
    mapped: bool


class GuestEnqcmdGot(Message, frozen=True, tag=True):
    """ENQCMD retired; not accepted means RETRY (the queue is full or the WQ disabled)."""

    call: Call
    accepted: bool


class VmExit(Message, frozen=True, tag=True):
    """No translation.

    The command left the guest with this exit reason and nothing was submitted.
    """

    call: Call
    reason: int = 72


class EnqcmdWrite(Message, frozen=True, tag=True):
    """KVM (the CPU), VDCM -> device: the translated command on the shared WQ: -> EnqcmdWriteGot."""

    call: Call
    vm: Name
    pasid: Pasid
    incarnation: Incarnation
    tag: int
    page: int
    mapped: bool


class EnqcmdWriteGot(Message, frozen=True, tag=True):
    """Accepted, or retry."""

    call: Call
    accepted: bool


class SubmitDescriptor(Message, frozen=True, tag=True):
    """guest -> device: MOVDIR64B to the portal of its dedicated WQ.  Posted: not answered.

    The device takes the PASID from the WQ; a WQ that is not enabled or full drops it: it ends in
    DescriptorDone(ABORT).  `mm`: whose WQ, if not simply the sender's (modern stack).
    """

    tag: int
    page: int
    mapped: bool
    mm: Name = ""


class DescriptorDone(Message, frozen=True, tag=True):
    """device -> guest: completion record of the descriptor `tag`.  Not answered."""

    device: Name
    tag: int
    status: Status


class OpenVdev(Message, frozen=True, tag=True):
    """guest -> VDCM: open the mdev; the VDCM registers its notifier.  EBUSY open already."""

    call: Call


class EnableVwq(Message, frozen=True, tag=True):
    """guest -> VDCM, ENABLE_WQ: a dedicated WQ is programmed with the host PASID of `gpasid`.

    A shared WQ takes gpasid 0.  ENXIO look-up failed, EBUSY enabled already, ENODEV not open.
    """

    call: Call
    gpasid: Gpasid


class DisableVwq(Message, frozen=True, tag=True):
    """guest -> VDCM, DISABLE_WQ: quiesce, clear the WQ's PASID, put its reference.

    EINVAL not enabled.
    """

    call: Call


class DrainVwq(Message, frozen=True, tag=True):
    """guest -> VDCM, DRAIN_WQ.

    Answered when none of this VM's descriptors is left in the device.
    """

    call: Call


class ResetVdev(Message, frozen=True, tag=True):
    """guest -> VDCM, RESET_DEVICE: abort and disable the WQ, clear IMS.

    Put every reference (mends S25b).
    """

    call: Call


class WriteVims(Message, frozen=True, tag=True):
    """guest -> VDCM: interrupt message storage entry with PASID enable, or gpasid 0 to clear it.

    ENXIO look-up failed, EBUSY occupied, ENODEV not open.
    """

    call: Call
    gpasid: Gpasid


class WqMode(Enum):
    """Shared: any PASID, by ENQCMD.  Dedicated: one owner, one PASID in its configuration."""

    SHARED = "shared"
    DEDICATED = "dedicated"


class EnableWq(Message, frozen=True, tag=True):
    """VDCM -> device: enable the WQ of `vm` (dedicated: with this PASID).

    EBUSY enabled already.
    """

    call: Call
    vm: Name
    mode: WqMode
    pasid: Pasid
    incarnation: Incarnation


class DisableWq(Message, frozen=True, tag=True):
    """VDCM -> device: no new descriptors, wait for or (`abort`) abort those there.

    Clear the PASID.
    """

    call: Call
    vm: Name
    abort: bool = False


class DrainWq(Message, frozen=True, tag=True):
    """VDCM -> device: answered when no descriptor of `vm` is left."""

    call: Call
    vm: Name


class DrainPasid(Message, frozen=True, tag=True):
    """VDCM -> device, DRAIN_PASID 11 or (`abort`) ABORT_PASID 12.

    Answered when none with it is left.
    """

    call: Call
    pasid: Pasid
    incarnation: Incarnation
    abort: bool = False


class WriteIms(Message, frozen=True, tag=True):
    """VDCM -> device: PASID of the IMS entry of `vm`; pasid 0 clears it."""

    call: Call
    vm: Name
    pasid: Pasid
    incarnation: Incarnation


class DeviceCommand(IntEnum):
    """Numbers of the DSA commands that the messages above stand for."""

    ENABLE_DEVICE = 1
    DISABLE_DEVICE = 2
    DRAIN_ALL = 3
    ABORT_ALL = 4
    RESET_DEVICE = 5
    ENABLE_WQ = 6
    DISABLE_WQ = 7
    DRAIN_WQ = 8
    ABORT_WQ = 9
    RESET_WQ = 10
    DRAIN_PASID = 11
    ABORT_PASID = 12
    REQUEST_INT_HANDLE = 13
    RELEASE_INT_HANDLE = 14
