"""Numbers: a VM gets one, and gives it back when nothing on the host uses it any more.

Free takes the PASID off everything by itself, whatever the guest has forgotten: those who let the
guest submit are told and let go first, then the devices, last the number.  So there is no pending
state that somebody else could meet.

Kernel: iommu_alloc_global_pasid, iommu_free_global_pasid of Linux 7.3, which look at no user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.vmm import closing, running
from actors.vmm.state import Answer, Do, Life, Task, What
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import (
    FreeRequested,
    PasidAllocated,
    PasidLinked,
    PasidReclaimed,
    PasidUnlinked,
)
from protocol.lifecycle import State
from protocol.messages import FreePasidRange, Refused, RequestPasid, RequestPasidGot
from protocol.messages.iommu_core import AllocGlobalPasid, AllocGlobalPasidGot, FreeGlobalPasid
from protocol.names import (
    INVALID_PASID,
    IOMMU_CORE,
    NO_DATA,
    PASID_COUNT,
    PASID_MIN,
    Name,
    Pasid,
    vm_of,
)

if TYPE_CHECKING:
    from actors.vmm import Vmm


def on_request_pasid(vmm: Vmm, request: RequestPasid, sender: Name, out: Out) -> None:
    """A number, in turn."""
    asked(vmm, "alloc", request, sender, out)


def on_free_pasid_range(vmm: Vmm, free: FreePasidRange, sender: Name, out: Out) -> None:
    """All of the VM in the range, in turn."""
    asked(vmm, "free", free, sender, out)


def asked(
    vmm: Vmm, name: str, request: RequestPasid | FreePasidRange, sender: Name, out: Out
) -> None:
    """EINVAL it is no range, EOPNOTSUPP nothing is open."""
    vm = vmm.vms.get(vm_of(sender))
    if not PASID_MIN <= request.min <= request.max < PASID_COUNT:
        out.send(sender, Refused(request.call, Errno.EINVAL))
        return
    if vm is None or not vmm.is_open(vm):
        out.send(sender, Refused(request.call, Errno.EOPNOTSUPP))
        return
    task = running.new(vmm, name, vm.name, sender, request.call)
    task.range = (request.min, request.max)
    running.start(vmm, task, out)


def begin_alloc(vmm: Vmm, task: Task, _out: Out) -> None:
    """Such as all its devices can carry: they are alike."""
    device = next(at for group in vmm.vms[task.vm].groups for at in group)
    task.todo = [Do(What.NUMBER, device)]


def number(_vmm: Vmm, task: Task, do: Do, out: Out) -> bool:
    """The lowest that is free on the whole host."""
    out.send(IOMMU_CORE, AllocGlobalPasid(task.number, do.at))
    return False


def numbered(vmm: Vmm, task: Task, answer: Answer, out: Out) -> None:
    """It is the VM's, and bound to nothing."""
    assert isinstance(answer, AllocGlobalPasidGot), "it was asked for a number"
    vm = vmm.vms[task.vm]
    task.pasid = answer.pasid
    vm.pasids[answer.pasid] = Life(answer.incarnation)
    life = (answer.pasid, answer.incarnation)
    out.record(PasidAllocated(*life, vm.number, vm.name, len(vm.pasids)))
    out.record(PasidLinked(*life, vm.name))


def undo(_vmm: Vmm, _task: Task, _out: Out) -> list[Do]:
    """Nothing was done."""
    return []


def end_alloc(vmm: Vmm, task: Task, out: Out) -> None:
    """The number, or why there is none."""
    if task.errno is not None:
        out.send(task.caller, Refused(task.call, task.errno))
        return
    life = vmm.life(task, task.pasid)
    out.send(task.caller, RequestPasidGot(task.call, task.pasid, life.incarnation))


def begin_free(vmm: Vmm, task: Task, _out: Out) -> None:
    """Those that it has, the lowest first; freeing what is not its own does nothing."""
    least, most = task.range
    mine = [one for one in sorted(vmm.vms[task.vm].pasids) if least <= one <= most]
    task.todo = [step for pasid in mine for step in vmm.free_steps(task, pasid)]


def free_steps(vmm: Vmm, task: Task, pasid: Pasid) -> list[Do]:
    """Those who submit with it, then the devices, then the number."""
    life = vmm.life(task, pasid)
    steps = [Do(What.LEAVE, "", pasid)]
    if life.users or life.tables:
        steps += [Do(What.FREE, "", pasid), Do(What.UNUSED, "", pasid)]
    steps += [step for at in life.tables for step in closing.detaching(at, pasid)]
    return [*steps, Do(What.UNUSED, "", pasid), Do(What.GIVE_BACK, "", pasid)]


def leave(vmm: Vmm, task: Task, do: Do, out: Out) -> bool:
    """From here on nobody new uses it."""
    vm, life = vmm.vms[task.vm], vmm.life(task, do.pasid)
    life.leaving = True
    out.record(PasidUnlinked(do.pasid, life.incarnation, vm.name))
    state = (State.ACTIVE if life.tables or life.users else State.IDLE).value
    by: Name = vm.name
    where = (do.pasid, life.incarnation, vm.number)
    out.record(FreeRequested(*where, by, effective=True, state=state))
    return True


def unused(vmm: Vmm, task: Task, do: Do, _out: Out) -> bool:
    """Waits for the last of them to let go."""
    return vmm.is_unused(vmm.life(task, do.pasid))


def give_back(vmm: Vmm, task: Task, do: Do, out: Out) -> bool:
    """Not where somebody who used it is lost: nobody knows whether the hardware is clean."""
    vm = vmm.vms[task.vm]
    life = vm.pasids.pop(do.pasid)
    if life.users:
        return True
    out.record(
        PasidReclaimed(
            pasid=do.pasid,
            incarnation=life.incarnation,
            set=vm.number,
            refs=0,
            holders=(),
            spid=INVALID_PASID,
            data=NO_DATA,
            set_count=len(vm.pasids),
        )
    )
    out.send(IOMMU_CORE, FreeGlobalPasid(task.number, do.pasid, life.incarnation))
    return False


STEPS = {
    What.NUMBER: number,
    What.LEAVE: leave,
    What.UNUSED: unused,
    What.GIVE_BACK: give_back,
}
NOTES = {What.NUMBER: numbered}
