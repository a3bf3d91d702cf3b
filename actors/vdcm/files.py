"""The virtual device's file descriptor: opened once for a VM, and closed for good (§4.6, §4.8).

Kernel: drivers/vfio/mdev/idxd/mdev.c of the Intel data-centre kernel ("DCP").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.vdcm import clearing
from actors.vdcm.state import Clear, Close, Kind, Open, Phase, Why, key_of
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import FdsReleased
from protocol.messages import (
    Done,
    OpenVdev,
    Priority,
    Refused,
    RegisterNotifierMm,
    ReleaseFds,
    UnregisterNotifier,
)
from protocol.names import CORE, Call, Name, vm_of

if TYPE_CHECKING:
    from actors.vdcm import Vdcm


def on_open_vdev(vdcm: Vdcm, opening: OpenVdev, guest: Name, out: Out) -> None:
    """Register for the mm of this VM; DEVICE priority, after the vCPUs and before the IOMMU."""
    vm = vm_of(guest)
    phase = vdcm.vdevs.get(vm, Phase.GONE)
    if phase is not Phase.CLOSED:
        ended = phase in {Phase.CLOSING, Phase.GONE}
        out.send(guest, Refused(opening.call, Errno.ENODEV if ended else Errno.EBUSY))
        return

    vdcm.vdevs[vm] = Phase.OPENING
    call = vdcm.begin(Open(guest, vm, opening.call))
    out.send(CORE, RegisterNotifierMm(call, vm, Priority.DEVICE))


def opened(vdcm: Vdcm, call: Call, task: Open, out: Out) -> None:
    """Registered; if QEMU has ended meanwhile, that is undone at once."""
    del vdcm.tasks[call]
    out.send(task.guest, Done(task.call))
    if vdcm.vdevs[task.vm] is Phase.CLOSING:
        close(vdcm, task.vm, out)
    else:
        vdcm.vdevs[task.vm] = Phase.OPEN


def not_opened(vdcm: Vdcm, refused: Refused, task: Open, out: Out) -> None:
    """Without a notifier no PASID; the guest may try again unless QEMU has ended."""
    del vdcm.tasks[refused.call]
    out.send(task.guest, Refused(task.call, refused.errno))
    if vdcm.vdevs[task.vm] is Phase.CLOSING:
        closed(vdcm, task.vm, out)
    else:
        vdcm.vdevs[task.vm] = Phase.CLOSED


def on_release_fds(vdcm: Vdcm, release: ReleaseFds, out: Out) -> None:
    """Nothing new is taken from here on."""
    before = vdcm.vdevs.get(release.vm, Phase.GONE)
    if before in {Phase.CLOSING, Phase.GONE}:
        return  # Not on this device; or QEMU ended by itself, and the supervisor says it too.

    vdcm.vdevs[release.vm] = Phase.CLOSING
    if before is Phase.OPEN:
        close(vdcm, release.vm, out)
    elif before is Phase.CLOSED:
        closed(vdcm, release.vm, out)
    # Being opened: the core's answer comes first.


def close(vdcm: Vdcm, vm: Name, out: Out) -> None:
    """The WQ first: while it runs, a PASID of whose BIND nobody is told would not be drained."""
    clearing.start(vdcm, Clear(Why.STOP, vm, [key_of(vm, Kind.WQ)], abort=True), out)


def unregister(vdcm: Vdcm, vm: Name, out: Out) -> None:
    """Of the mm of open, not of whoever closes: on a kill it is gone by now (mends S43)."""
    out.send(CORE, UnregisterNotifier(vdcm.begin(Close(vm)), vdcm.mm_of(vm)))


def unregistered(vdcm: Vdcm, call: Call, task: Close, out: Out) -> None:
    """Clear the interrupts, drain the rights; what others clear first is skipped."""
    del vdcm.tasks[call]
    ims = key_of(task.vm, Kind.IMS)
    held = [key for key in sorted(vdcm.slots) if vdcm.slots[key].vm == task.vm]
    rights = [key for key in held if vdcm.slots[key].kind is Kind.SWQ]
    clearing.start(vdcm, Clear(Why.RELEASE, task.vm, [ims, *rights], abort=True), out)


def closed(vdcm: Vdcm, vm: Name, out: Out) -> None:
    """Nothing is held any more."""
    vdcm.vdevs[vm] = Phase.GONE
    out.record(FdsReleased(vm))
