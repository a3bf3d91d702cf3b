"""Page requests: out of the fault queue, to the guest, and back with the cookie (§4.4).

None of it waits for the VM's other business: an unbind holds that while the kernel answers what is
pending.  A cookie is good until its PASID is detached; the kernel answers then, and the number may
be another request's at once.

Kernel: iommufd's fault queue, eventq.c of Linux 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.vmm import running
from actors.vmm.state import NOBODY, Answer, Task, Vm
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import Done, PageRequestReport, Refused, RespondPage, ResponseCode
from protocol.messages.guests import FaultsTaken, PageFault, WaitForFaults
from protocol.messages.iommufd import AnswerFault
from protocol.names import Name, Pasid, guest_of, iommufd_of, vm_of

if TYPE_CHECKING:
    from actors.vmm import Vmm

ROOM: Final = 64
WAITS: Final = "wait"
RESPONDS: Final = "respond"


def wait(vmm: Vmm, vm: Vm, out: Out) -> None:
    """QEMU's thread at the queue."""
    task = running.new(vmm, WAITS, vm.name, vm.name, NOBODY)
    out.send(iommufd_of(vm.name), WaitForFaults(task.number, vm.queue, ROOM))


def on_faults_taken(vmm: Vmm, taken: FaultsTaken, out: Out) -> None:
    """To the guest, each; then back to the queue."""
    task = vmm.tasks[taken.call]
    vm = vmm.vms[task.vm]
    for fault in taken.faults:
        report(vmm, vm, fault, out)
    out.send(iommufd_of(vm.name), WaitForFaults(task.number, vm.queue, ROOM))


def report(vmm: Vmm, vm: Vm, fault: PageFault, out: Out) -> None:
    """What is being detached the kernel answers; a guest that is gone answers nothing more."""
    life = vm.pasids.get(fault.pasid)
    if life is None or fault.device not in life.tables:
        return
    if not vmm.answers_pages(vm):
        answer(vmm, vm, fault, out)
        return
    vm.faults[fault.device, fault.pasid, fault.group] = fault.cookie
    request = PageRequestReport(
        vm=vm.name,
        device=fault.device,
        pasid=fault.pasid,
        incarnation=fault.incarnation,
        gpasid=life.gpasid,
        group=fault.group,
        page=fault.page,
    )
    out.send(guest_of(vm.name), request)


def answer(vmm: Vmm, vm: Vm, fault: PageFault, out: Out) -> None:
    """In the guest's place."""
    task = running.new(vmm, RESPONDS, vm.name, vm.name, NOBODY)
    task.device, task.pasid, task.cookie = fault.device, fault.pasid, fault.cookie
    task.code = int(ResponseCode.INVALID)
    write(vmm, task, out)


def on_respond_page(vmm: Vmm, respond: RespondPage, sender: Name, out: Out) -> None:
    """EOPNOTSUPP nothing is open, EINVAL nobody waits for it."""
    vm = vmm.vms.get(vm_of(sender))
    if vm is None or not vmm.is_open(vm):
        out.send(sender, Refused(respond.call, Errno.EOPNOTSUPP))
        return
    cookie = vm.faults.pop((respond.device, respond.pasid, respond.group), None)
    if cookie is None:
        out.send(sender, Refused(respond.call, Errno.EINVAL))
        return
    task = running.new(vmm, RESPONDS, vm.name, sender, respond.call)
    task.device, task.pasid, task.cookie = respond.device, respond.pasid, cookie
    task.code = int(respond.code)
    write(vmm, task, out)


def write(vmm: Vmm, task: Task, out: Out) -> None:
    """To the fault queue."""
    vm = vmm.vms[task.vm]
    out.send(iommufd_of(vm.name), AnswerFault(task.number, vm.queue, task.cookie, task.code))


def answered(vmm: Vmm, got: Answer, out: Out) -> bool:
    """Whether it was about a page request; the kernel's answer is the guest's."""
    task = vmm.tasks.get(got.call)
    if task is None or task.name not in (WAITS, RESPONDS):
        return False
    if task.name == WAITS:
        waited(vmm, got, out)
        return True
    if isinstance(got, Refused) and got.errno is Errno.EFAULT and waits(vmm, task):
        write(vmm, task, out)  # Its own memory was not there.
        return True
    del vmm.tasks[got.call]
    if task.call != NOBODY:
        errno = got.errno if isinstance(got, Refused) else None
        own = Done(task.call) if errno is None else Refused(task.call, errno)
        out.send(task.caller, own)
    return True


def waits(vmm: Vmm, task: Task) -> bool:
    """Whether the kernel still waits for the cookie: not when its PASID is being detached."""
    life = vmm.vms[task.vm].pasids.get(task.pasid)
    return life is not None and task.device in life.tables


def waited(vmm: Vmm, got: Answer, out: Out) -> None:
    """ENOENT: the queue has been closed.  Any other refusal is for this time only."""
    vm = vmm.vms[vmm.tasks[got.call].vm]
    if isinstance(got, Refused) and got.errno is not Errno.ENOENT:
        out.send(iommufd_of(vm.name), WaitForFaults(got.call, vm.queue, ROOM))
    else:
        del vmm.tasks[got.call]


def forget(_vmm: Vmm, vm: Vm, device: Name, pasid: Pasid) -> None:
    """The kernel has answered what the guest has not."""
    for key in [key for key in vm.faults if key[:2] == (device, pasid)]:
        del vm.faults[key]
