"""What a guest could do next in a mix: each operation with what it makes sense on (§7).

A good guest's choices come first; those in which it misbehaves come after them, so that the
smallest draw is the plainest.

Kernel: none; this is the process that uses it.
"""

from typing import TYPE_CHECKING, Final, TypeAlias

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


Place: TypeAlias = tuple[str, Name]
"""A variable, and a device that its PASID is bound to."""


class Choice(Struct, frozen=True):
    """One operation of the mix, `good` or not, and the steps it could be."""

    weight: int
    steps: list[Step]
    good: bool = True


def all_of(guest: "Guest") -> list[Choice]:
    """What makes sense now, the plainest first."""
    weights, places = guest.plan.mix, bound_places(guest)
    found: list[Choice] = []
    for what, weight in weights.items():
        steps = good_steps(guest, what, places) if weight else []
        if steps:
            found.append(Choice(weight, steps))
    for what in guest.plan.misbehave:
        for operation, steps in bad_steps(guest, what).items():
            if steps:
                weight = 1 if what == "foreign-pasid" else max(1, weights.get(operation, 0))
                found.append(Choice(weight, steps, good=False))
    return found


def bound_places(guest: "Guest") -> list[Place]:
    """Each PASID with each device that it is bound to."""
    return [
        (name, device)
        for name, variable in guest.variables.items()
        for group in variable.bound
        for device in guest.groups[group]
    ]


def good_steps(guest: "Guest", operation: str, places: list[Place]) -> list[Step]:
    """What a good guest could apply the operation to."""
    queues, ims = guest.queues, guest.ims
    match operation:
        case "alloc":
            live = [name for name, variable in guest.variables.items() if variable.live]
            unused = [name for name in NAMES if name not in live]
            return [Step("alloc", unused[0])] if len(live) < len(NAMES) else []
        case "bind":
            return on_groups(guest, "bind", bound=False)
        case "unbind":
            return on_groups(guest, "unbind", bound=True)
        case "free":
            mine = guest.variables.items()
            return [Step("free", name) for name, v in mine if v.live and not v.bound]
        case "dma" | "fault" if len(guest.running()) < ASYNC:
            return [Step(operation, n, device=d) for n, d in places if may_submit(guest, n, d)]
        case "dma" | "fault":
            return []
        case "enable":
            disabled = [(n, d) for n, d in places if queues.get(d) is None]
            return [Step("enable", name, device=device) for name, device in disabled]
        case "disable" | "drain" if "no-response" in guest.plan.misbehave:
            return []  # Either would wait for ever for a page that the guest keeps back.
        case "disable" | "drain":
            enabled = [device for device in guest.devices if queues.get(device) is not None]
            return [Step(operation, device=device) for device in enabled]
        case "ims":
            return [Step("ims", n, device=d) for n, d in places if d not in ims]
        case "unims":
            return [Step("unims", device=device) for device in guest.devices if device in ims]
        case "reset":
            return [Step("reset", device=device) for device in guest.devices]
        case _:
            return [Step(operation)]


def may_submit(guest: "Guest", name: str, device: Name) -> bool:
    """A dedicated queue that serves another PASID takes none of this one."""
    if device not in guest.dedicated:
        return True
    return guest.queues.get(device) in {None, guest.variables[name].value.pasid}


def on_groups(guest: "Guest", operation: str, *, bound: bool) -> list[Step]:
    """Each PASID with the first device of each group that it is, or is not, bound to."""
    return [
        Step(operation, name, device=devices[0])
        for name, variable in guest.variables.items()
        if variable.live
        for group, devices in enumerate(guest.groups)
        if devices and (group in variable.bound) is bound
    ]


def bad_steps(guest: "Guest", misbehaviour: str) -> dict[str, list[Step]]:
    """Per operation, the steps in which the guest misbehaves in this way."""
    mine = guest.variables.items()
    match misbehaviour:
        case "free-before-unbind":
            return {"free": [Step("free", name) for name, variable in mine if variable.bound]}
        case "unbind-with-dma" if guest.running():
            steps = on_groups(guest, "unbind", bound=True)
            return {"unbind": [step for step in steps if is_flying(guest, step)]}
        case "double-free":
            return {"free": [Step("free", name) for name, variable in mine if not variable.live]}
        case "late-unbind":
            stale = [name for name, variable in mine if not variable.live]
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
