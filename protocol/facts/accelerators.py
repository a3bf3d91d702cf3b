"""What processes of a modern kernel state, their mms, and the drivers of accelerators (§8)."""

from protocol.facts.event import Event
from protocol.names import Incarnation, Name, Pasid


class MmMade(Event, frozen=True, tag="mm.made"):
    """process: it lives in `mm` from here on; `why` is `start`, `fork` or `exec`."""

    process: Name
    mm: Name
    why: str


class MmPasidBegun(Event, frozen=True, tag="mm.pasid_begun"):
    """sva: a new mm, a copy of `of` if that is not empty, begins with this PASID: 0, none."""

    mm: Name
    of: Name
    pasid: Pasid
    incarnation: Incarnation


class MmCounted(Event, frozen=True, tag="mm.counted"):
    """process: so many use the address space, and so many keep the struct (without SVA domains)."""

    mm: Name
    users: int
    count: int


class NotifierAdded(Event, frozen=True, tag="mm.notifier_added"):
    """process: the domain is told of what the mm does."""

    mm: Name
    domain: Name


class NotifierPut(Event, frozen=True, tag="mm.notifier_put"):
    """process: it is off the list; its reference goes when the grace period is over."""

    mm: Name
    domain: Name


class EnqcmdFaulted(Event, frozen=True, tag="enqcmd.faulted"):
    """process: #GP that was not mended; `activated`: the thread had its PASID once already."""

    thread: Name
    mm: Name
    pasid: Pasid
    activated: bool


class FileOpened(Event, frozen=True, tag="file.opened"):
    """door: `process` has opened the device, for `mm`."""

    device: Name
    file: int
    process: Name
    mm: Name


class OpenRefused(Event, frozen=True, tag="file.open_refused"):
    """door: it has not; nothing of the file is left."""

    device: Name
    file: int
    mm: Name
    errno: str


class FileShared(Event, frozen=True, tag="file.shared"):
    """door: `holder` has a descriptor of the file."""

    device: Name
    file: int
    holder: Name


class FileLeft(Event, frozen=True, tag="file.left"):
    """door: it has not any more."""

    device: Name
    file: int
    holder: Name


class FileGone(Event, frozen=True, tag="file.gone"):
    """door: nobody held or mapped it, and it is released."""

    device: Name
    file: int


class PartHeld(Event, frozen=True, tag="part.held"):
    """door: the file has the `mm` (a reference), its `bond`, its place in the `table`, a `wq`."""

    device: Name
    file: int
    part: str
    mm: Name


class PartLeft(Event, frozen=True, tag="part.left"):
    """door: the file is about to give it up; of a bond: to unbind."""

    device: Name
    file: int
    part: str
    mm: Name


class PartGone(Event, frozen=True, tag="part.gone"):
    """door: it has it no more: of a bond, unbind has returned."""

    device: Name
    file: int
    part: str
    mm: Name


class DeviceForgotten(Event, frozen=True, tag="device.forgotten"):
    """door: the driver's remove is through; nobody may use the device through it any more."""

    device: Name


class DescriptorWritten(Event, frozen=True, tag="descriptor.written"):
    """door: a caller in `mm` has written a descriptor, and it runs with this PASID."""

    device: Name
    file: int
    mm: Name
    pasid: Pasid
    incarnation: Incarnation


class SystemPasidLive(Event, frozen=True, tag="system_pasid.live"):
    """door: the kernel itself uses the device with this PASID."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation


class SystemPasidOff(Event, frozen=True, tag="system_pasid.off"):
    """door: it does not (any more), and the number is back; `errno`: why it never did."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    errno: str


class KvaFlushBegun(Event, frozen=True, tag="kva.flush_begun"):
    """sva: page tables of the kernel are to be freed; every SVA domain must forget them."""


class KvaFlushed(Event, frozen=True, tag="kva.flushed"):
    """sva: nothing has a translation of this domain cached."""

    domain: Name


class KvaFlushEnded(Event, frozen=True, tag="kva.flush_ended"):
    """sva: the page tables may be freed, and used for something else."""


AcceleratorFact = (
    MmMade
    | MmPasidBegun
    | MmCounted
    | NotifierAdded
    | NotifierPut
    | EnqcmdFaulted
    | FileOpened
    | OpenRefused
    | FileShared
    | FileLeft
    | FileGone
    | PartHeld
    | PartLeft
    | PartGone
    | DeviceForgotten
    | DescriptorWritten
    | SystemPasidLive
    | SystemPasidOff
    | KvaFlushBegun
    | KvaFlushed
    | KvaFlushEnded
)
"""All of them."""
