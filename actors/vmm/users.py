"""Who can make hardware use a PASID says so here, and says when it cannot any more (§4.5, §4.6).

Kernel: none; as ioasid_get, ioasid_put, ioasid_find_by_spid and ioasid_register_notifier_mm (V4)
ask for it.  7.3 counts nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from actors.vmm import running, telling
from actors.vmm.state import Life, Vm, What
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import (
    NotifierRegistered,
    NotifierUnregistered,
    ReferenceDropped,
    ReferenceTaken,
)
from protocol.lifecycle import State
from protocol.messages import (
    Done,
    FindBySpid,
    FindBySpidGot,
    GetPasid,
    HostLost,
    PutPasid,
    PutPasidGot,
    Refused,
    RegisterNotifierMm,
    UnregisterNotifier,
)
from protocol.names import NO_SET, Name, Pasid, guest_of, vm_of

if TYPE_CHECKING:
    from actors.vmm import Vmm


def actor_of(holder: str) -> Name:
    """Who it is that holds for a reason."""
    return holder.partition(":")[0]


def on_use(vmm: Vmm, use: GetPasid | PutPasid | FindBySpid, sender: Name, out: Out) -> None:
    """One user more, or less."""
    match use:
        case GetPasid():
            on_get(vmm, use, sender, out)
        case FindBySpid():
            on_find(vmm, use, sender, out)
        case PutPasid():
            on_put(vmm, use, sender, out)
        case _:
            assert_never(use)


def on_get(vmm: Vmm, get: GetPasid, sender: Name, out: Out) -> None:
    """EINVAL unknown, EACCES another VM's, EBUSY on its way out."""
    vm = vmm.owner_of(get.pasid)
    if vm is None:
        out.send(sender, Refused(get.call, Errno.EINVAL))
        return
    life = vm.pasids[get.pasid]
    errno = refusal(life)
    if get.set not in (NO_SET, vm.number):
        errno = Errno.EACCES
    if errno is not None:
        out.send(sender, Refused(get.call, errno))
        return
    take(life, get.pasid, f"{sender}:{get.reason}", "", out)
    out.send(sender, Done(get.call))


def refusal(life: Life) -> Errno | None:
    """Nobody new while it is being freed."""
    return Errno.EBUSY if life.leaving else None


def on_find(vmm: Vmm, find: FindBySpid, sender: Name, out: Out) -> None:
    """What a number of the guest stands for; ENOENT for nothing."""
    vm = vmm.vms.get(find.token)
    pasid = None if vm is None else named(vm, find)
    if vm is None or pasid is None:
        out.send(sender, Refused(find.call, Errno.ENOENT))
        return
    life = vm.pasids[pasid]
    errno = refusal(life)
    if errno is not None:
        out.send(sender, Refused(find.call, errno))
        return
    take(life, pasid, f"{sender}:{find.reason}", vm.name, out)
    out.send(sender, FindBySpidGot(find.call, pasid, life.incarnation))


def named(vm: Vm, find: FindBySpid) -> Pasid | None:
    """Bound under that number."""
    return next(
        (p for p, life in vm.pasids.items() if find.spid and life.gpasid == find.spid), None
    )


def take(life: Life, pasid: Pasid, holder: str, token: Name, out: Out) -> None:
    """One more."""
    life.users[holder] = life.users.get(holder, 0) + 1
    refs = sum(life.users.values())
    state = State.ACTIVE.value
    out.record(ReferenceTaken(pasid, life.incarnation, holder, refs, state, token))


def on_put(vmm: Vmm, put: PutPasid, sender: Name, out: Out) -> None:
    """One less; a free that waits for the last goes on."""
    vm, holder = vmm.owner_of(put.pasid), f"{sender}:{put.reason}"
    life = None if vm is None else vm.pasids[put.pasid]
    if life is not None and holder in life.users:
        life.users[holder] -= 1
        refs = sum(life.users.values())
        if not life.users[holder]:
            del life.users[holder]
        out.record(ReferenceDropped(put.pasid, life.incarnation, holder, refs))
    out.send(sender, PutPasidGot(put.call, reclaimed=False))
    look_whether_unused(vmm, out)


def look_whether_unused(vmm: Vmm, out: Out) -> None:
    """Who has waited for that goes on."""
    for task in list(vmm.tasks.values()):
        do = task.doing
        waits = do is not None and do.what is What.UNUSED
        if do is not None and waits and vmm.is_unused(vmm.life(task, do.pasid)):
            running.stepped(task)
            running.go_on(vmm, task, out)


def on_block(
    vmm: Vmm, block: RegisterNotifierMm | UnregisterNotifier, sender: Name, out: Out
) -> None:
    """Nothing is replayed: EBUSY with PASIDs that the newcomer was not told of (O16)."""
    vm = vmm.vms.get(block.mm)
    if isinstance(block, UnregisterNotifier):
        if vm is not None and vm.told.pop(sender, None) is not None:
            out.record(NotifierUnregistered(sender, vm.name))
        out.send(sender, Done(block.call))
        return
    if vm is None or vm.pasids or sender in vm.told:
        out.send(sender, Refused(block.call, Errno.EINVAL if vm is None else Errno.EBUSY))
        return
    vm.told[sender] = int(block.priority)
    out.record(NotifierRegistered(sender, vm.name, active=True))
    out.send(sender, Done(block.call))


def on_host_lost(vmm: Vmm, lost: HostLost, out: Out) -> None:
    """A guest that is lost answers no page; who was told of a VM cleans up for it no more."""
    vmm.lost = sorted([*vmm.lost, lost.name])
    own = vmm.vms.get(vm_of(lost.name))
    if own is not None and lost.name == guest_of(own.name):
        own.guest_lost = True
    for vm in vmm.vms.values():
        if vm.told.pop(lost.name, None) is not None:
            out.record(NotifierUnregistered(lost.name, vm.name))
            vm.bereft = True
    for task in list(vmm.tasks.values()):
        if task.telling and task.telling[0] == lost.name:
            telling.answered(vmm, task, out, bad=True, errno=Errno.ENODEV)
    look_whether_unused(vmm, out)
