"""QEMU is gone and its containers are closed, behind the lock like anything else (§4.8).

Every PASID comes off every device before the domains go, then whatever the guest had not freed is
freed; the set follows its last PASID.  From the moment of closing the process is refused.

Kernel: drivers/vfio/vfio_iommu_type1.c, vfio_iommu_type1_detach_group; vfio_pasid.c,
vfio_mm_put.
"""

from typing import TYPE_CHECKING, assert_never

from actors.vfio import lock, tasks
from actors.vfio.state import NOBODY, Release, ReleaseStep
from protocol.effects import Out
from protocol.facts import FdsReleased, PasidUnlinked
from protocol.messages import DetachDomain, FreeAllInSet, FreeSet, ReleaseFds, UnbindGpasid
from protocol.names import CORE, IOMMU, NO_SET, Name

if TYPE_CHECKING:
    from actors.vfio import Vfio


def on_release_fds(vfio: "Vfio", release: ReleaseFds, sender: Name, out: Out) -> None:
    """Once; what is under way is let finish first."""
    process = vfio.processes.get(release.vm)
    if process is None or process.released:
        return  # No process of ours, or the guest and the supervisor both said so.

    process.released = True
    task = Release(number=tasks.number(vfio), vm=release.vm, caller=sender, call=NOBODY)
    tasks.start(vfio, task, out)


def begin(vfio: "Vfio", release: Release, out: Out) -> None:
    """Take down what there is to do; nobody adds to it any more."""
    process = vfio.processes[release.vm]
    if process.set == NO_SET:
        finish(vfio, release, out)
        return

    release.detaches = [device for group in process.containers for device in process.groups[group]]
    release.unbinds = [
        (pasid, process.pasids[pasid], device)
        for pasid in sorted(process.pasids)
        for device in release.detaches
    ]
    process.containers.clear()
    unbind_next(vfio, release, out)


def resume(vfio: "Vfio", release: Release, out: Out) -> None:
    """One answer has come, and none could stop this; go on from there."""
    match release.step:
        case ReleaseStep.UNBIND_GPASID:
            unbind_next(vfio, release, out)
        case ReleaseStep.DETACH_DOMAIN:
            detach_next(vfio, release, out)
        case ReleaseStep.FREE_ALL_IN_SET:
            free_set(vfio, release, out)
        case ReleaseStep.FREE_SET:
            # EBUSY means later: the core ends the set with its last PASID.
            vfio.processes[release.vm].set = NO_SET
            finish(vfio, release, out)
        case _:
            assert_never(release.step)


def unbind_next(vfio: "Vfio", release: Release, out: Out) -> None:
    """VFIO keeps no list of binds: each PASID, each device of each open group."""
    if not release.unbinds:
        detach_next(vfio, release, out)
        return

    pasid, incarnation, device = release.unbinds.pop(0)
    request = UnbindGpasid(release.number, release.vm, device, pasid, incarnation, why="release")
    out.send(IOMMU, request)


def detach_next(vfio: "Vfio", release: Release, out: Out) -> None:
    """Only under a PASID that no device translates any more may the second level go."""
    if not release.detaches:
        free_all_in_set(vfio, release, out)
        return

    release.step = ReleaseStep.DETACH_DOMAIN
    out.send(IOMMU, DetachDomain(release.number, release.vm, release.detaches.pop(0)))


def free_all_in_set(vfio: "Vfio", release: Release, out: Out) -> None:
    """The last vfio_mm reference: whatever the guest had not freed."""
    process = vfio.processes[release.vm]
    for pasid in sorted(process.pasids):
        out.record(PasidUnlinked(pasid, process.pasids[pasid], release.vm))
    process.pasids.clear()
    release.step = ReleaseStep.FREE_ALL_IN_SET
    out.send(CORE, FreeAllInSet(release.number, process.set))


def free_set(vfio: "Vfio", release: Release, out: Out) -> None:
    """It goes now, or with the last of its PASIDs."""
    release.step = ReleaseStep.FREE_SET
    out.send(CORE, FreeSet(release.number, vfio.processes[release.vm].set))


def finish(vfio: "Vfio", release: Release, out: Out) -> None:
    """Nothing is left of the process here; nobody waits for an answer."""
    out.record(FdsReleased(release.vm))
    lock.release(vfio, release, out)
    tasks.end(vfio, release, None, out)
