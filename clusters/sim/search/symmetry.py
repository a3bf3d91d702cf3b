"""Which VMs are so alike that their names can be exchanged; if they are not, why.

Alike are VMs with the same groups, whose guests do the same, and of whom the faults speak alike.
Whether handlers and properties treat them alike, too, the search finds out on its way: it runs each
of them a second time with exchanged names, and refuses (`LeakError`) where the outcome differs.
"""

from typing import Final

from clusters.nemesis import candidates, roles_of
from clusters.sim.world import Setup
from protocol.errors import ExperimentError
from protocol.names import Name, guest_of, kvm_of
from protocol.plan import Plan

VMS_MAX: Final = 4
"""All orders of them are tried: 24."""


def alike(setup: Setup) -> tuple[Name, ...]:
    """All VMs of the machine, or a refusal by name."""
    vms = [vm.name for vm in setup.machine.vms]
    if not 1 < len(vms) <= VMS_MAX:
        raise ExperimentError(
            f"symmetry wants 2 to {VMS_MAX} VMs that are alike, and there are {len(vms)}"
        )
    first = vms[0]
    for other in vms[1:]:
        different = _difference(setup, first, other)
        if different:
            raise ExperimentError(f"{first} and {other} are not alike: {different}")
    return tuple(vms)


def _difference(setup: Setup, one: Name, other: Name) -> str:
    if setup.machine.vm(one).groups != setup.machine.vm(other).groups:
        return "they have other groups of devices"
    plans = [setup.plans.get(guest_of(vm), Plan()) for vm in (one, other)]
    if plans[0] != plans[1]:
        return "their guests do not do the same"
    if any(step.owner for step in plans[0].steps):
        return "their scripts name each other's variables"
    roles = roles_of(setup.machine, setup.actors())
    for nemesis in setup.nemeses:
        found = candidates(nemesis, roles)[0]
        for of in (guest_of, kvm_of):
            if (of(one) in found) != (of(other) in found):
                return f"the fault '{nemesis.fault}' is meant for {', '.join(found)}"
    return ""
