"""BIND_PGTBL: the guest's table to a PASID, on every device of a group, or on none (§4.1).

The PASID cannot go while this runs: `pasid_lock` keeps free out, and the reference of the check
keeps the number from being reclaimed.  On a refusal only what this call bound is undone (S8).

Kernel: drivers/vfio/vfio_iommu_type1.c, vfio_iommu_handle_pgtbl_op, "[PATCH v7 10/16]".
"""

from typing import TYPE_CHECKING, assert_never

from actors.vfio import lock, tasks
from actors.vfio.state import CHECK, Answer, Bind, BindStep, refusal
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import BindAnswered, BindRequested
from protocol.messages import BindGpasid, BindPgtbl, Done, PutPasid, Refused, UnbindGpasid
from protocol.names import CORE, IOMMU, Name, vm_of

if TYPE_CHECKING:
    from actors.vfio import Vfio


def on_bind_pgtbl(vfio: "Vfio", bind: BindPgtbl, sender: Name, out: Out) -> None:
    """Only on an open container; then in turn."""
    if not vfio.is_open(vm_of(sender), bind.group):
        out.send(sender, Refused(bind.call, Errno.EOPNOTSUPP))
        return

    task = Bind(
        number=tasks.number(vfio),
        vm=vm_of(sender),
        caller=sender,
        call=bind.call,
        group=bind.group,
        pasid=bind.pasid,
        incarnation=bind.incarnation,
        gpasid=bind.gpasid,
        table=bind.table,
    )
    tasks.start(vfio, task, out)


def begin(vfio: "Vfio", bind: Bind, out: Out) -> None:
    """First of all the PASID must be the process's own."""
    out.record(BindRequested(bind.pasid, bind.incarnation, bind.vm, bind.group, bind.name))
    vfio.check_owner(bind, out)


def resume(vfio: "Vfio", bind: Bind, answer: Answer, out: Out) -> None:
    """One answer has come; go on from there."""
    match bind.step:
        case BindStep.GET_IF_OWNED:
            on_checked(vfio, bind, answer, out)
        case BindStep.BIND_GPASID:
            on_device_bound(vfio, bind, answer, out)
        case BindStep.UNBIND_GPASID:
            roll_back_next(bind, out)
        case BindStep.PUT_PASID:
            finish(vfio, bind, out)
        case _:
            assert_never(bind.step)


def on_checked(vfio: "Vfio", bind: Bind, answer: Answer, out: Out) -> None:
    """Not ours, unknown or pending: that is the answer, and there is nothing to put."""
    bind.errno = refusal(answer)
    if bind.errno is not None:
        finish(vfio, bind, out)
        return

    # A caller with a stale variable means the number's present life: the ghost is the tree's.
    bind.incarnation = vfio.processes[bind.vm].pasids.get(bind.pasid, bind.incarnation)
    bind_next(vfio, bind, out)


def bind_next(vfio: "Vfio", bind: Bind, out: Out) -> None:
    """The devices of the group, in order."""
    devices = vfio.processes[bind.vm].groups[bind.group]
    if len(bind.bound) == len(devices):
        put(bind, out)
        return

    bind.step = BindStep.BIND_GPASID
    request = BindGpasid(
        call=bind.number,
        vm=bind.vm,
        device=devices[len(bind.bound)],
        pasid=bind.pasid,
        incarnation=bind.incarnation,
        gpasid=bind.gpasid,
        table=bind.table,
    )
    out.send(IOMMU, request)


def on_device_bound(vfio: "Vfio", bind: Bind, answer: Answer, out: Out) -> None:
    """One refusal fails the whole bind."""
    bind.errno = refusal(answer)
    if bind.errno is not None:
        bind.undo = vfio.devices_to_roll_back(bind)
        roll_back_next(bind, out)
        return

    bind.bound.append(vfio.processes[bind.vm].groups[bind.group][len(bind.bound)])
    bind_next(vfio, bind, out)


def roll_back_next(bind: Bind, out: Out) -> None:
    """Unbinding has no refusal that could be acted upon; on with the next."""
    if not bind.undo:
        put(bind, out)
        return

    bind.step = BindStep.UNBIND_GPASID
    device = bind.undo.pop(0)
    request = UnbindGpasid(
        bind.number, bind.vm, device, bind.pasid, bind.incarnation, why="rollback"
    )
    out.send(IOMMU, request)


def put(bind: Bind, out: Out) -> None:
    """The driver holds a reference of its own by now, or the bind has failed."""
    bind.step = BindStep.PUT_PASID
    out.send(CORE, PutPasid(bind.number, bind.pasid, bind.incarnation, CHECK))


def finish(vfio: "Vfio", bind: Bind, out: Out) -> None:
    """All or nothing has been done; say which."""
    lock.release(vfio, bind, out)
    failed = bind.errno
    out.record(
        BindAnswered(
            pasid=bind.pasid,
            incarnation=bind.incarnation,
            vm=bind.vm,
            group=bind.group,
            task=bind.name,
            errno="" if failed is None else failed.value,
            rolled_back=0 if failed is None else len(bind.bound),
        )
    )
    tasks.end(vfio, bind, Done(bind.call) if failed is None else Refused(bind.call, failed), out)
