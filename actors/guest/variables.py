"""The guest's PASIDs by name, and what it may take a name to stand for (§1.8, §7.2).

The guest gives each PASID a number of its own, the smallest that it does not use.  A name keeps its
value after free, so that a late operation can use it; another's or a literal one can be used too.

Kernel: QEMU's virtual command register and the guest's drivers/iommu/intel/pasid.c.
"""

from bisect import insort
from typing import TYPE_CHECKING

from actors.guest.state import Value, Variable
from protocol.effects import Out
from protocol.messages import RequestPasidGot, Told
from protocol.names import Gpasid, Name, Pasid
from protocol.plan import Step

if TYPE_CHECKING:
    from actors.guest import Guest

NOTHING = Value()


def told_key(owner: Name, variable: str) -> str:
    """Another's variable, as a script names it."""
    return f"{owner}.{variable}"


def live(guest: "Guest", pasid: Pasid) -> list[Variable]:
    """The guest's own by that number: one, as long as the core keeps numbers apart."""
    names = guest.living.names.get(pasid, [])
    if len(names) > 1:
        names = [name for name in guest.variables if name in names]
    return [guest.variables[name] for name in names]


def free_gpasid(guest: "Guest") -> Gpasid:
    """The smallest number that the guest does not use at present."""
    living = guest.living
    return living.gaps[0] if living.gaps else living.last + 1


def begin_life(guest: "Guest", name: str, value: Value) -> None:
    """The name stands for a PASID of the guest, with the smallest number that was free."""
    guest.variables[name] = Variable(value)
    living = guest.living
    living.names.setdefault(value.pasid, []).append(name)
    if living.gaps:
        living.gaps.pop(0)
    else:
        living.last += 1


def end_life(guest: "Guest", variable: Variable) -> None:
    """The PASID is gone, and its number of the guest is free."""
    variable.live = False
    variable.bound.clear()
    variable.faulted = 0
    living = guest.living
    insort(living.gaps, variable.value.gpasid)
    while living.gaps and living.gaps[-1] == living.last:
        living.gaps.pop()
        living.last -= 1


def value_of(guest: "Guest", step: Step) -> Value:
    """What the step's name stands for; a name that was never set stands for nothing.

    What is not the guest's own gets a number that it does not use: it has no other to offer.
    """
    if step.number:
        mine = live(guest, step.number)
        return mine[0].value if mine else Value(step.number, 0, free_gpasid(guest))

    if is_own(guest, step):
        own = guest.variables.get(step.variable)
        return NOTHING if own is None else own.value

    told = guest.told.get(told_key(step.owner, step.variable), NOTHING)
    return Value(told.pasid, told.incarnation, free_gpasid(guest))


def is_awaited(guest: "Guest", step: Step) -> bool:
    """Whether the step names what may still be told."""
    return is_untold(guest, step) and step.owner not in guest.lost


def is_never_told(guest: "Guest", step: Step) -> bool:
    """Whether the step names what will never be told any more."""
    return is_untold(guest, step) and step.owner in guest.lost


def is_untold(guest: "Guest", step: Step) -> bool:
    """Whether the step names another's variable that has no value yet."""
    if is_own(guest, step) or step.number:
        return False
    return told_key(step.owner, step.variable) not in guest.told


def is_own(guest: "Guest", step: Step) -> bool:
    """Whether the step's name is one of the guest's own."""
    return not step.owner or step.owner == guest.name


def on_told(guest: "Guest", told: Told, sender: Name) -> None:
    """Another's variable has a value now."""
    key = told_key(sender, told.variable)
    guest.told[key] = Value(told.pasid, told.incarnation, told.gpasid)


def on_allocated(guest: "Guest", name: str, got: RequestPasidGot, out: Out) -> None:
    """A new value for the name, and for all who were promised it."""
    value = Value(got.pasid, got.incarnation, free_gpasid(guest))
    keep(guest, name)
    begin_life(guest, name, value)
    tell(guest, name, value, out)


def on_not_allocated(guest: "Guest", name: str, out: Out) -> None:
    """Whoever was promised a name that stands for nothing hears that, and goes on with nothing."""
    if name not in guest.variables:
        tell(guest, name, NOTHING, out)


def tell(guest: "Guest", name: str, value: Value, out: Out) -> None:
    """Those whose scripts say the name know it from now on."""
    for variable, process in guest.plan.tell:
        if variable == name:
            out.send(process, Told(name, value.pasid, value.incarnation, value.gpasid))


def keep(guest: "Guest", name: str) -> None:
    """A PASID that loses its name while it lives keeps its number, under a name of no script."""
    before = guest.variables.get(name)
    if before is None or not before.live:
        return

    other = name + "'"
    keep(guest, other)
    guest.variables[other] = before
    names = guest.living.names[before.value.pasid]
    names[names.index(name)] = other


def on_freed(guest: "Guest", pasid: Pasid) -> None:
    """By whatever name it was freed, it is gone."""
    for variable in live(guest, pasid):
        end_life(guest, variable)
    guest.living.names.pop(pasid, None)


def on_bound(guest: "Guest", pasid: Pasid, group: int) -> None:
    """Now on every device of the group."""
    for variable in live(guest, pasid):
        if group not in variable.bound:
            variable.bound.append(group)


def on_unbound(guest: "Guest", pasid: Pasid, group: int) -> None:
    """Now on none of them."""
    for variable in live(guest, pasid):
        if group in variable.bound:
            variable.bound.remove(group)
