"""What a guest could do next in a mix: each operation with what it makes sense on (§7).

A good guest's choices come first; those in which it misbehaves come after them, so that the
smallest draw is the plainest.

Kernel: none; this is the process that uses it.
"""

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from actors.guest.completions import is_settled
from protocol.names import Name
from protocol.plan import Step

if TYPE_CHECKING:
    from actors.guest import Guest

NAMES: Final = ("a", "b", "c", "d")
"""A mix allocates into these, so it has at most so many PASIDs."""
ASYNC: Final = 3
"""So many submissions may be under way beside the one operation that is waited for."""
NUMBERS: Final = 16
"""The lowest so many host PASIDs are tried by a guest that names what is not its own."""


class Choice(Struct, frozen=True):
    """One operation of the mix, `good` or not, and the steps it could be."""

    weight: int
    steps: list[Step]
    good: bool = True


def all_of(guest: "Guest") -> list[Choice]:
    """What makes sense now, the plainest first."""
    weights = guest.plan.mix
    found = [Choice(weight, good_steps(guest, what)) for what, weight in weights.items()]
    for what in guest.plan.misbehave:
        for operation, steps in bad_steps(guest, what).items():
            weight = 1 if what == "foreign-pasid" else max(1, weights.get(operation, 0))
            found.append(Choice(weight, steps, good=False))
    return [choice for choice in found if choice.weight and choice.steps]


def good_steps(guest: "Guest", operation: str) -> list[Step]:
    """What a good guest could apply the operation to."""
    silent = "no-response" in guest.plan.misbehave
    queues, every = guest.queues, guest.devices
    live = {name: v for name, v in guest.variables.items() if v.live}
    match operation:
        case "alloc":
            names = [name for name in NAMES if name not in live]
            return [Step("alloc", name) for name in names[:1] if len(live) < len(NAMES)]
        case "bind":
            return on_groups(guest, "bind", bound=False)
        case "unbind":
            return on_groups(guest, "unbind", bound=True)
        case "free":
            return [Step("free", name) for name, v in live.items() if not v.bound]
        case "dma" | "fault":
            crowded = len(guest.running()) >= ASYNC
            return [] if crowded else on_queues(guest, operation)
        case "enable":
            steps = on_queues(guest, "enable")
            return [step for step in steps if queues.get(step.device) is None]
        case "disable" | "drain":
            # Either would wait for ever for a page that the guest keeps back.
            enabled = [d for d in every if queues.get(d) is not None and not silent]
            return [Step(operation, device=device) for device in enabled]
        case "ims":
            steps = on_devices(guest, "ims")
            return [step for step in steps if step.device not in guest.ims]
        case "unims":
            return [Step("unims", device=device) for device in every if device in guest.ims]
        case "reset":
            return [Step("reset", device=device) for device in every]
        case _:
            return [Step(operation)]


def on_groups(guest: "Guest", operation: str, *, bound: bool) -> list[Step]:
    """Each PASID with the first device of each group that it is, or is not, bound to."""
    return [
        Step(operation, name, device=devices[0])
        for name, variable in guest.variables.items()
        for group, devices in enumerate(guest.groups)
        if variable.live and devices and (group in variable.bound) is bound
    ]


def on_devices(guest: "Guest", operation: str) -> list[Step]:
    """Each PASID with each device that it is bound to."""
    return [
        Step(operation, name, device=device)
        for name, variable in guest.variables.items()
        for group in variable.bound
        for device in guest.groups[group]
    ]


def on_queues(guest: "Guest", operation: str) -> list[Step]:
    """The same, without a dedicated queue that serves another PASID."""
    return [
        step
        for step in on_devices(guest, operation)
        if step.device not in guest.dedicated
        or guest.queues.get(step.device) in {None, guest.variables[step.variable].value.pasid}
    ]


def bad_steps(guest: "Guest", misbehaviour: str) -> dict[str, list[Step]]:
    """Per operation, the steps in which the guest misbehaves in this way."""
    stale = [name for name, variable in guest.variables.items() if not variable.live]
    match misbehaviour:
        case "free-before-unbind":
            bound = [name for name, variable in guest.variables.items() if variable.bound]
            return {"free": [Step("free", name) for name in bound]}
        case "unbind-with-dma":
            steps = on_groups(guest, "unbind", bound=True)
            return {"unbind": [step for step in steps if is_flying(guest, step)]}
        case "double-free":
            return {"free": [Step("free", name) for name in stale]}
        case "late-unbind":
            firsts = [devices[0] for devices in guest.groups if devices]
            return {"unbind": [Step("unbind", n, device=d) for n in stale for d in firsts]}
        case "foreign-pasid":
            return foreign_steps(guest)
        case _:
            return {}  # `no-response` is no operation.


def is_flying(guest: "Guest", step: Step) -> bool:
    """Whether descriptors of the PASID are in a device of the group."""
    pasid = guest.variables[step.variable].value.pasid
    devices = guest.groups[guest.group_of(step.device)]
    return not all(is_settled(guest, device, pasid) for device in devices)


def foreign_steps(guest: "Guest") -> dict[str, list[Step]]:
    """Numbers that are not the guest's own, whoever has them."""
    mine = [variable.value.pasid for variable in guest.variables.values() if variable.live]
    last = min(guest.pasids, NUMBERS)
    numbers = [number for number in range(1, last + 1) if number not in mine]
    shared: list[Name] = [d for d in guest.devices if d not in guest.dedicated]
    return {
        "bind": [Step("bind", number=n, device=d) for n in numbers for d in guest.devices[:1]],
        "unbind": [Step("unbind", number=n, device=d) for n in numbers for d in guest.devices[:1]],
        "free": [Step("free", number=number) for number in numbers],
        "dma": [Step("dma", number=number, device=d) for number in numbers for d in shared[:1]],
    }
