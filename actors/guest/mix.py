"""A guest's random work: draw an operation, and do what it takes, unless it misbehaves (§4.7).

A good guest has its descriptors completed, its queue disabled and its interrupt store cleared
before it unbinds, and unbinds before it frees.  At the end it tidies up in the same order, and
stays.

Kernel: none; this is the process that uses it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import structs

from actors.guest.choices import Choice, all_of
from actors.guest.state import SETTLE
from protocol.effects import Out
from protocol.names import Name
from protocol.plan import Step

if TYPE_CHECKING:
    from actors.guest import Guest

COUNTS: Final = 3
"""A submission is of 1 to so many descriptors."""


def draw(guest: "Guest", out: Out) -> list[Step]:
    """One operation and what must come before it; nothing if nothing makes sense now."""
    found = all_of(guest)
    if not found:
        return []

    choice = chosen(found, out.draw(sum(choice.weight for choice in found)))
    step = choice.step(pick(choice.count, out))
    return well_done(guest, step, out) if choice.good else [step]


def chosen(found: Sequence[Choice], drawn: int) -> Choice:
    """Each has as many numbers as its weight."""
    for choice in found[:-1]:
        if drawn < choice.weight:
            return choice
        drawn -= choice.weight
    return found[-1]


def pick(bound: int, out: Out) -> int:
    """A choice, if there is one."""
    return out.draw(bound) if bound > 1 else 0


def well_done(guest: "Guest", step: Step, out: Out) -> list[Step]:
    """The step, after what a good guest does before it."""
    device = step.device
    match step.operation:
        case "unbind":
            devices = guest.groups[guest.group_of(step.device)]
            return [*quiesce(guest, step.variable, devices), step]
        case "free":
            return [*quiesce(guest, step.variable, guest.devices), step]
        case "disable" | "reset":
            return [Step(SETTLE, device=device), step]
        case "dma" | "fault" | "portal":
            enable = Step("enable", step.variable, device=device)
            submit = structs.replace(step, count=1 + out.draw(COUNTS), wait=waits(guest, step, out))
            return [submit] if guest.queues.get(device) is not None else [enable, submit]
        case _:
            return [step]


def waits(guest: "Guest", step: Step, out: Out) -> bool:
    """Whether the submission is waited for; never for one whose page may be kept back."""
    if step.operation == "fault" and "no-response" in guest.plan.misbehave:
        return False

    return out.draw(2) == 0


def quiesce(guest: "Guest", name: str, devices: Sequence[Name]) -> list[Step]:
    """The PASID out of each device: descriptors, queue, interrupt store."""
    pasid = guest.variables[name].value.pasid
    steps: list[Step] = []
    for device in devices:
        steps.append(Step(SETTLE, name, device=device))
        if device in guest.dedicated and guest.queues.get(device) == pasid:
            steps.append(stop(guest, device))
        if guest.ims.get(device) == pasid:
            steps.append(Step("unims", device=device))
    return steps


def stop(guest: "Guest", device: Name) -> Step:
    """The queue no longer takes anything; with a page kept back only a reset ends."""
    silent = "no-response" in guest.plan.misbehave
    return Step("reset" if silent else "disable", device=device)


def tidy_up(guest: "Guest") -> list[Step]:
    """Everything well: devices first, then binds and PASIDs, then the queues that all shared."""
    steps: list[Step] = []
    for device in guest.devices:
        steps.append(Step(SETTLE, device=device))
        if device in guest.dedicated and guest.queues.get(device) is not None:
            steps.append(stop(guest, device))
        if device in guest.ims:
            steps.append(Step("unims", device=device))
    for name, variable in guest.variables.items():
        if variable.live:
            steps += [Step("unbind", name, device=guest.groups[g][0]) for g in variable.bound]
            steps.append(Step("free", name))
    steps += [
        stop(guest, device)
        for device in guest.devices
        if device not in guest.dedicated and guest.queues.get(device) is not None
    ]
    return steps
