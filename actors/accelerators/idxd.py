"""idxd: a file is bound and ready from open on; a dedicated WQ has one, and its PASID.

Only the mm that opened a file may use it.  With a system PASID the kernel itself uses the device:
the number is from the same pool, its domain is that of the device's own DMA, and no handle is
routed to.

Kernel: drivers/dma/idxd/{cdev,init}.c of Linux 7.3; 8dfa57aabff6.  §8 (I41, I43, S29, S30).
"""

from typing import ClassVar

from actors.accelerators import Accelerator
from actors.accelerators.state import (
    CALL,
    NOMEM,
    NOMEM_TABLE,
    SET_PASID,
    Answer,
    File,
    Life,
    Part,
    Step,
)
from protocol.domains import DMA, NULL, domain_name
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.facts.accelerators import SystemPasidLive, SystemPasidOff
from protocol.messages import Refused
from protocol.messages.accelerators import PutQueue
from protocol.messages.device import WqMode
from protocol.messages.iommu_core import (
    AllocGlobalPasid,
    AllocGlobalPasidGot,
    AttachDevicePasid,
    DetachDevicePasid,
    FreeGlobalPasid,
)
from protocol.names import IOMMU_CORE, Name


class Idxd(Accelerator):
    """The table of user PASIDs is the files' own."""

    __slots__ = ()
    SITES: ClassVar[tuple[Site, ...]] = (NOMEM, NOMEM_TABLE, SET_PASID)

    def open_refusal(self) -> Errno | None:
        """A dedicated WQ is one file's."""
        if self.removed:
            return Errno.ENODEV
        return Errno.EBUSY if self.mode is WqMode.DEDICATED and self.files else None

    def use_refusal(self, file: File, mm: Name) -> Errno | None:
        """An inherited file is of no use to a child (8dfa57aabff6)."""
        return None if file.mm == mm else Errno.EPERM

    def on_put_queue(self, _put: PutQueue, _sender: Name, out: Out) -> None:
        """That is of uacce."""
        self.end(out, Errno.EINVAL)

    def after_bind(self, out: Out) -> None:
        """Its place in the table, then the WQ."""
        errno = out.may_fail(NOMEM_TABLE)
        if errno is None:
            self.hold(Part.TABLE, out)
            if self.mode is WqMode.DEDICATED:
                errno = out.may_fail(SET_PASID)
        if errno is None:
            self.enable(out)
        else:
            self.set_pasid_failed(errno, out)

    def set_pasid_failed(self, errno: Errno, out: Out) -> None:
        """The bond is undone once, where all else is (0642287e3ecd)."""
        self.undo(errno, out)

    # --- The PASID of the kernel itself -----------------------------------------------------------

    def probe(self, out: Out) -> None:
        """idxd_enable_system_pasid, before anybody can open the device."""
        if not self.system:
            self.end(out)
            return
        self.step = Step.NUMBER
        out.send(IOMMU_CORE, AllocGlobalPasid(CALL, self.device))

    def go_on_alone(self, answer: Answer, out: Out) -> None:
        """The number, the attach, and both undone."""
        match self.step, answer:
            case Step.NUMBER, AllocGlobalPasidGot():
                self.own, self.step = Life(answer.pasid, answer.incarnation), Step.ATTACH
                out.send(IOMMU_CORE, self.attach(self.own))
            case Step.ATTACH, Refused():
                self.attach_failed(answer.errno, out)
            case Step.ATTACH, _:
                assert self.own is not None, "only a number that is there is attached"
                own = self.own
                out.record(SystemPasidLive(self.device, own.pasid, own.incarnation))
                self.end(out)
            case Step.DETACH, _:
                self.free_own(out)
            case _:
                self.own_off(answer, out)

    def attach(self, own: Life) -> AttachDevicePasid:
        """The domain of the device's own DMA, and no handle."""
        domain = domain_name(DMA, self.unit, self.device)
        return AttachDevicePasid(CALL, self.device, own.pasid, own.incarnation, domain, NULL)

    def attach_failed(self, errno: Errno, out: Out) -> None:
        """The number goes back before anybody hears of it."""
        self.errno = errno
        self.free_own(out)

    def free_own(self, out: Out) -> None:
        """It is attached nowhere."""
        assert self.own is not None, "there is one to be freed"
        self.step = Step.FREE
        out.send(IOMMU_CORE, FreeGlobalPasid(CALL, self.own.pasid, self.own.incarnation))

    def own_off(self, answer: Answer, out: Out) -> None:
        """The kernel does without."""
        errno = answer.errno if isinstance(answer, Refused) else self.errno
        own = self.own or Life(0, 0)
        self.own = None
        said = errno.value if errno is not None else ""
        out.record(SystemPasidOff(self.device, own.pasid, own.incarnation, said))
        self.end(out)

    def remove(self, out: Out) -> None:
        """Files go when they are closed; the kernel's own PASID is detached, then freed."""
        self.removed = True
        if self.own is None:
            self.end(out)
            return
        self.step = Step.DETACH
        own, domain = self.own, domain_name(DMA, self.unit, self.device)
        detach = DetachDevicePasid(CALL, self.device, own.pasid, own.incarnation, domain)
        out.send(IOMMU_CORE, detach)
