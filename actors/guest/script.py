"""The order of a guest's work: its script, then its mix, then it tidies up and sits still (§7).

Kernel: none; this is the process that uses it.
"""

from typing import TYPE_CHECKING

from msgspec import structs

from actors.guest import completions, mix, operations, variables
from actors.guest.state import NOT_BUSY, SETTLE, Phase
from protocol.effects import Out
from protocol.plan import MANY, Step

if TYPE_CHECKING:
    from actors.guest import Guest


def go_on(guest: "Guest", out: Out) -> None:
    """Begin whatever need not wait for anything."""
    while guest.busy == NOT_BUSY and guest.phase is Phase.RUN:
        step = upcoming(guest, out)
        if step is None or not is_ready(guest, step):
            return

        if guest.todo:
            guest.todo.pop(0)
        else:
            guest.position += 1
        if step.count > 1 and step.operation in MANY:
            guest.todo = spread(step)
        elif step.operation != SETTLE:
            operations.begin(guest, step, out)


def upcoming(guest: "Guest", out: Out) -> Step | None:
    """The next step, or None if all is done."""
    if guest.todo:
        return guest.todo[0]

    if guest.position < len(guest.plan.steps):
        return guest.plan.steps[guest.position]

    while not guest.todo and guest.drawn < guest.plan.operations:
        guest.drawn += 1
        guest.todo = mix.draw(guest, out)
    if not guest.todo and guest.plan.operations and not guest.tidied:
        guest.tidied = True
        guest.todo = mix.tidy_up(guest)
    return guest.todo[0] if guest.todo else None


def spread(step: Step) -> list[Step]:
    """The step for each of its variables, one after the other."""
    return [
        structs.replace(step, variable=f"{step.variable}{k}", count=1)
        for k in range(1, step.count + 1)
    ]


def is_ready(guest: "Guest", step: Step) -> bool:
    """Another's variable must have been told, and what settles must have settled."""
    if step.operation != SETTLE:
        return not variables.is_awaited(guest, step)

    pasid = guest.variables[step.variable].value.pasid if step.variable else None
    return completions.is_settled(guest, step.device, pasid)
