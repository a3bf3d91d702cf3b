"""Native SVA: what a process, an accelerator's driver, the mm and the VT-d driver say (§4.9).

`proc1` is a process and its mm; `uacce.dsa0` the driver behind the accelerator's character device.
"""

from protocol.messages.common import Message
from protocol.names import Call, Incarnation, Name, Pasid


class OpenFile(Message, frozen=True, tag=True):
    """process -> door: open the character device and map its portal.  EBUSY open already."""

    call: Call


class BindFile(Message, frozen=True, tag=True):
    """process -> door: bind the file to the caller's mm (sva_bind) and enable a WQ for it.

    EINVAL not open, EBUSY bound already, else the driver's.
    """

    call: Call


class UnbindFile(Message, frozen=True, tag=True):
    """process -> door: stop DMA, then unbind.  EINVAL not bound."""

    call: Call


class PutFile(Message, frozen=True, tag=True):
    """process -> door: its mapping of the portal goes (`mapping`), or its descriptor (close).

    With the last of all holders the file is released: DMA stopped, unbound.  Nothing there: Done.
    """

    call: Call
    mapping: bool


class DupFiles(Message, frozen=True, tag=True):
    """process -> door: `child` inherits the descriptors that the sender has, and no mapping."""

    call: Call
    child: Name


class Forked(Message, frozen=True, tag=True):
    """process -> process: the child begins, with a new mm.  Not answered."""


class Kill(Message, frozen=True, tag=True):
    """process -> process: SIGKILL.  It dies when its system calls have returned.  Not answered."""


class BindMm(Message, frozen=True, tag=True):
    """door -> driver, intel_svm_bind_mm: -> BindMmGot.  `vm` is the mm.

    EINVAL no such device or the address space has gone, ENOSPC, ENOMEM, EBUSY entry present.
    """

    call: Call
    vm: Name
    device: Name


class BindMmGot(Message, frozen=True, tag=True):
    """The mm's PASID, usable on the device."""

    call: Call
    pasid: Pasid
    incarnation: Incarnation


class UnbindMm(Message, frozen=True, tag=True):
    """door -> driver, intel_svm_unbind_mm.  Not bound: Done."""

    call: Call
    vm: Name
    device: Name
    pasid: Pasid
    incarnation: Incarnation
    why: str = "unbind"


class PinMm(Message, frozen=True, tag=True):
    """driver -> process, mmgrab: -> PinMmGot, or EINVAL when the address space has gone."""

    call: Call


class PinMmGot(Message, frozen=True, tag=True):
    """The struct stays until UnpinMm; its PASID, 0 if it has none."""

    call: Call
    pasid: Pasid
    incarnation: Incarnation


class UnpinMm(Message, frozen=True, tag=True):
    """driver -> process, mmdrop."""

    call: Call


class AssignPasid(Message, frozen=True, tag=True):
    """driver -> process: mm->pasid, out of IOASID set `set`."""

    call: Call
    set: int
    pasid: Pasid
    incarnation: Incarnation


class RegisterMmNotifier(Message, frozen=True, tag=True):
    """driver -> process, mmu_notifier_register: call me before the page tables go."""

    call: Call


class UnregisterMmNotifier(Message, frozen=True, tag=True):
    """driver -> process, mmu_notifier_unregister: answered when no callback is running."""

    call: Call


class MmRelease(Message, frozen=True, tag=True):
    """process -> driver, the notifier's release: Done when hardware uses the page tables no more.

    `vm` is the mm, `pasid` its own.
    """

    call: Call
    vm: Name
    pasid: Pasid
    incarnation: Incarnation


class LoadMsr(Message, frozen=True, tag=True):
    """driver -> process, load_pasid: IA32_PASID of the tasks of the mm; 0 is PASID_DISABLED.

    Answered when no ENQCMD with the old value is on its way.
    """

    call: Call
    pasid: Pasid
    incarnation: Incarnation


NativeMessage = (
    OpenFile
    | BindFile
    | UnbindFile
    | PutFile
    | DupFiles
    | Forked
    | Kill
    | BindMm
    | BindMmGot
    | UnbindMm
    | PinMm
    | PinMmGot
    | UnpinMm
    | AssignPasid
    | RegisterMmNotifier
    | UnregisterMmNotifier
    | MmRelease
    | LoadMsr
)
"""All of them."""
