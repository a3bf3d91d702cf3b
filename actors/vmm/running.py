"""How a task goes: step by step, each waited for; a refusal takes back what the task has done.

Kernel: the way out of an ioctl of the host that fails half-way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.vmm import faults
from actors.vmm.state import NOBODY, Answer, Task
from protocol.effects import Out
from protocol.facts import LockReleased, LockTaken, LockWaited
from protocol.messages import Done, Refused
from protocol.names import Call, Name

if TYPE_CHECKING:
    from actors.vmm import Vmm

KIND: Final = "mutex"


def new(vmm: Vmm, name: str, vm: Name, caller: Name, call: Call) -> Task:
    """A task is known by the smallest number that is free."""
    number = 1
    while number in vmm.tasks:
        number += 1
    vmm.tasks[number] = Task(number, name, vm, caller, call)
    return vmm.tasks[number]


def lock_of(vm: Name) -> str:
    """What it is called in facts."""
    return f"vmm:{vm}"


def start(vmm: Vmm, task: Task, out: Out) -> None:
    """In its turn; what is to be done is found out then."""
    vm = vmm.vms[task.vm]
    if vm.holder != NOBODY:
        vm.waiting.append(task.number)
        out.record(LockWaited(lock_of(vm.name), KIND, task.title))
        return
    vm.holder = task.number
    out.record(LockTaken(lock_of(vm.name), KIND, task.title))
    vmm.begin(task, out)
    go_on(vmm, task, out)


def go_on(vmm: Vmm, task: Task, out: Out) -> None:
    """Until a step has to wait, or none is left."""
    while task.todo:
        do = task.todo.pop(0)
        task.doing = do
        if not vmm.step(task, do, out):
            return
        stepped(task)
    end(vmm, task, out)


def stepped(task: Task) -> None:
    """The step is over; what it made is known."""
    if task.doing is not None and task.errno is None:
        task.done.append(task.doing)
    task.doing = None


def on_answer(vmm: Vmm, answer: Answer, out: Out) -> None:
    """The task that asked goes on; a page request that was answered is through."""
    if faults.answered(vmm, answer, out):
        return
    task = vmm.tasks.get(answer.call)
    if task is None or task.doing is None:
        return  # A second copy of an answer.
    if isinstance(answer, Refused):
        refused(vmm, task, answer, out)
    else:
        vmm.note(task, answer, out)
        stepped(task)
    go_on(vmm, task, out)


def refused(vmm: Vmm, task: Task, answer: Refused, out: Out) -> None:
    """The first refusal turns the task back; on its way back nothing can be done about another."""
    if task.errno is None and vmm.can_undo(task):
        task.errno = answer.errno
        task.todo = vmm.undo(task, out)
    task.doing = None


def end(vmm: Vmm, task: Task, out: Out) -> None:
    """The answer, and the next one's turn."""
    vmm.end(task, out)
    vm = vmm.vms[task.vm]
    del vmm.tasks[task.number]
    vm.holder = NOBODY
    out.record(LockReleased(lock_of(vm.name), KIND, task.title))
    if task.call != NOBODY and task.name != "alloc":
        reply(task, out)
    if vm.waiting:
        start(vmm, vmm.tasks[vm.waiting.pop(0)], out)


def reply(task: Task, out: Out) -> None:
    """As asked, or why not."""
    errno = task.errno
    out.send(task.caller, Done(task.call) if errno is None else Refused(task.call, errno))
