"""UNBIND_PGTBL: a PASID off every device of a group.  It never fails for a process's own (§4.1).

A guest may come late: then the PASID is gone or being cleaned already, and there is nothing left
to do (S11).  Another VM's PASID is refused and stays as it is (N10).

Kernel: drivers/vfio/vfio_iommu_type1.c, vfio_iommu_handle_pgtbl_op, "[PATCH v7 10/16]".
"""

from typing import TYPE_CHECKING, assert_never

from actors.vfio import lock, tasks
from actors.vfio.state import CHECK, Answer, Unbind, UnbindStep, refusal
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import UnbindRequested
from protocol.messages import Done, PutPasid, Refused, UnbindGpasid, UnbindPgtbl
from protocol.names import CORE, IOMMU, Name, vm_of

if TYPE_CHECKING:
    from actors.vfio import Vfio


def on_unbind_pgtbl(vfio: "Vfio", unbind: UnbindPgtbl, sender: Name, out: Out) -> None:
    """Only on an open container; then in turn."""
    vm = vm_of(sender)
    if not vfio.is_open(vm, unbind.group):
        out.send(sender, Refused(unbind.call, Errno.EOPNOTSUPP))
        return

    task = Unbind(
        number=tasks.number(vfio),
        vm=vm,
        caller=sender,
        call=unbind.call,
        group=unbind.group,
        pasid=unbind.pasid,
        incarnation=unbind.incarnation,
        left=list(vfio.processes[vm].groups[unbind.group]),
    )
    tasks.start(vfio, task, out)


def begin(vfio: "Vfio", unbind: Unbind, out: Out) -> None:
    """With the lock the tree can be looked at, and the owner be checked."""
    linked = unbind.pasid in vfio.processes[unbind.vm].pasids
    out.record(UnbindRequested(unbind.pasid, unbind.incarnation, unbind.vm, unbind.group, linked))
    vfio.check_owner(unbind, out)


def resume(vfio: "Vfio", unbind: Unbind, answer: Answer, out: Out) -> None:
    """One answer has come; go on from there."""
    match unbind.step:
        case UnbindStep.GET_IF_OWNED:
            on_checked(vfio, unbind, answer, out)
        case UnbindStep.UNBIND_GPASID:
            unbind_next(unbind, out)
        case UnbindStep.PUT_PASID:
            finish(vfio, unbind, None, out)
        case _:
            assert_never(unbind.step)


def on_checked(vfio: "Vfio", unbind: Unbind, answer: Answer, out: Out) -> None:
    """A failed check ends it, one way or the other; without the reference nothing is put."""
    failed = refusal(answer)
    if failed is not None:
        finish(vfio, unbind, vfio.errno_of_unbind(failed), out)
        return

    # As in bind: the ghost is the tree's from here on.
    unbind.incarnation = vfio.processes[unbind.vm].pasids.get(unbind.pasid, unbind.incarnation)
    unbind_next(unbind, out)


def unbind_next(unbind: Unbind, out: Out) -> None:
    """The devices of the group, in order; whether one was bound the driver knows."""
    if not unbind.left:
        unbind.step = UnbindStep.PUT_PASID
        out.send(CORE, PutPasid(unbind.number, unbind.pasid, unbind.incarnation, CHECK))
        return

    unbind.step = UnbindStep.UNBIND_GPASID
    device = unbind.left.pop(0)
    out.send(
        IOMMU,
        UnbindGpasid(unbind.number, unbind.vm, device, unbind.pasid, unbind.incarnation),
    )


def finish(vfio: "Vfio", unbind: Unbind, failed: Errno | None, out: Out) -> None:
    """The next may come in, and the guest goes on."""
    lock.release(vfio, unbind, out)
    tasks.end(
        vfio, unbind, Done(unbind.call) if failed is None else Refused(unbind.call, failed), out
    )
