"""How large a counterexample is: what its reader has to take in, the heaviest first."""

from msgspec import Struct

from clusters.sim.tape import Begin, Draw, Fail, Tape
from clusters.sim.world import Setup


class Size(Struct, frozen=True, order=True):
    """Compared field by field, in this order.

    Of the experiment: `actors`, steps of all plans, and the `rest` (planned faults, descriptors of
    a step, weights and misbehaviours of a mix, PASIDs of the pool).  Of the schedule: faults that
    begin, steps that fail, deliveries, messages held back against the plain schedule, numbers
    drawn.
    """

    actors: int
    work: int
    rest: int
    faults: int
    failures: int
    steps: int
    delays: int
    drawn: int


def size_of(setup: Setup, tape: Tape, steps: int, delays: int) -> Size:
    """The size of what a tape does in a setup."""
    plans = setup.plans.values()
    machine = setup.machine
    choices = tape.choices
    return Size(
        actors=len(setup.actors()),
        work=sum(len(plan.steps) + plan.operations for plan in plans),
        rest=sum(step.count - 1 for plan in plans for step in plan.steps)
        + sum(len(plan.mix) + len(plan.misbehave) for plan in plans)
        + (setup.delay_steps != (0, 0))
        + len(setup.nemeses)
        + machine.pasids
        + machine.quota * len(machine.vms),
        faults=sum(isinstance(choice, Begin) for choice in choices),
        failures=sum(isinstance(choice, Fail) and choice.failed for choice in choices),
        steps=steps,
        delays=delays,
        drawn=sum(choice.value for choice in choices if isinstance(choice, Draw)),
    )
