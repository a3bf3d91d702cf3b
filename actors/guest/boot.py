"""QEMU opens KVM, its virtual devices and its containers, all before the guest runs (§4.7, O16).

Kernel: the first vCPU of a VM, VFIO_GROUP_GET_DEVICE_FD of each mdev, VFIO_GROUP_SET_CONTAINER.
"""

from typing import TYPE_CHECKING

from actors.guest.state import Opening, Phase
from protocol.effects import Out
from protocol.messages import OpenContainer, OpenVdev, OpenVm
from protocol.names import Name, kvm_of, vdcm_of

if TYPE_CHECKING:
    from actors.guest import Guest


def on_start(guest: "Guest", out: Out) -> None:
    """All files at once, so in any order; what a refusal means the others will say later."""
    guest.phase = Phase.BOOT
    if all(step.operation != "open-vm" for step in guest.plan.steps):
        ask(guest, kvm_of(guest.vm), OpenVm(guest.free_number()), out)
    for vdcm in vdcms(guest):
        ask(guest, vdcm, OpenVdev(guest.free_number()), out)
    for group in range(len(guest.groups)):
        ask(guest, guest.door, OpenContainer(guest.free_number(), group), out)
    look_whether_booted(guest)


def vdcms(guest: "Guest") -> list[Name]:
    """Who composes the guest's devices, each once."""
    hardware = dict.fromkeys(guest.parents.get(device, device) for device in guest.devices)
    return [vdcm_of(device) for device in hardware]


def ask(guest: "Guest", target: Name, request: OpenVm | OpenVdev | OpenContainer, out: Out) -> None:
    """One file; a lost actor has none to open."""
    if target not in guest.lost:
        guest.tasks[request.call] = Opening(target)
        out.send(target, request)


def look_whether_booted(guest: "Guest") -> None:
    """The plan begins when every open has been answered, one way or the other."""
    opening = any(isinstance(task, Opening) for task in guest.tasks.values())
    if guest.phase is Phase.BOOT and not opening:
        guest.phase = Phase.RUN
