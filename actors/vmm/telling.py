"""KVM and the VDCM are told of BIND, UNBIND and FREE, one after the other (§4.5, §4.6).

In the order of 2020: vCPUs stop before devices do, and start after them.  What one answers matters
to BIND alone.

Kernel: none; 7.3 tells nobody.  The design is that of ioasid_register_notifier_mm (V4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.vmm import running
from actors.vmm.state import Do, Task, What
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import (
    NotifyBind,
    NotifyFree,
    NotifyReply,
    NotifyUnbind,
    Refused,
    Verdict,
)
from protocol.names import Name

if TYPE_CHECKING:
    from actors.vmm import Vmm

WORDS: Final[dict[What, type[NotifyBind | NotifyUnbind | NotifyFree]]] = {
    What.BIND: NotifyBind,
    What.UNBIND: NotifyUnbind,
    What.FREE: NotifyFree,
}


def subscribers(vmm: Vmm, task: Task, what: What) -> list[Name]:
    """The highest priority first; for BIND, which lets the guest in, last."""
    told = vmm.vms[task.vm].told
    names = sorted(told, key=lambda name: -told[name])
    return names[::-1] if what is What.BIND else names


def tell(vmm: Vmm, task: Task, do: Do, out: Out) -> bool:
    """All of them, each when the one before has answered."""
    task.telling = vmm.subscribers(task, do.what)
    return not tell_next(vmm, task, do, out)


def tell_next(vmm: Vmm, task: Task, do: Do, out: Out) -> bool:
    """Whether somebody has been told and owes an answer."""
    vm, life = vmm.vms[task.vm], vmm.life(task, do.pasid)
    while task.telling and task.telling[0] not in vm.told:
        task.telling.pop(0)
    if not task.telling:
        if do.what is not What.BIND:
            life.gpasid = 0
        return False
    notification = WORDS[do.what](
        call=task.number,
        pasid=do.pasid,
        incarnation=life.incarnation,
        spid=life.gpasid,
        set=vm.number,
        token=vm.name,
    )
    out.send(task.telling[0], notification)
    return True


def on_reply(vmm: Vmm, reply: NotifyReply, out: Out) -> None:
    """BAD fails a bind (ENOMEM), and nothing else."""
    task = vmm.tasks.get(reply.call)
    if task is None or task.doing is None or not task.telling:
        return  # Too late: who was told is lost, and the task has gone on without it.
    answered(vmm, task, out, bad=reply.verdict is Verdict.BAD, errno=Errno.ENOMEM)


def answered(vmm: Vmm, task: Task, out: Out, *, bad: bool, errno: Errno) -> None:
    """The next one's turn, or the end of the step."""
    do = task.doing
    assert do is not None, "it tells"
    task.telling.pop(0)
    if bad and do.what is What.BIND:
        task.telling.clear()
        running.refused(vmm, task, Refused(task.number, errno), out)
    elif tell_next(vmm, task, do, out):
        return
    else:
        running.stepped(task)
    running.go_on(vmm, task, out)


STEPS = dict.fromkeys(WORDS, tell)
