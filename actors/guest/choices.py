"""What a guest could do next in a mix: each operation with what it makes sense on (§7).

A good guest's choices come first; those in which it misbehaves come after them, so that the
smallest draw is the plainest.

Kernel: none; this is the process that uses it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from actors.guest.completions import is_settled
from protocol.names import Name, Pasid
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
"""A variable ("" if it makes no difference) and a device ("" likewise): what a step is about."""


class Choice(Struct, frozen=True, gc=False):
    """One operation of the mix, `good` or not, and what it could be about.

    `numbers` are literal host PASIDs, each of which stands in the place of a variable.
    """

    weight: int
    operation: str
    places: list[Place]
    numbers: Sequence[Pasid] = ()
    good: bool = True

    @property
    def count(self) -> int:
        """How many steps it could be."""
        return len(self.numbers) or len(self.places)

    def step(self, index: int) -> Step:
        """One of them; with literal numbers all are about one device."""
        if self.numbers:
            return Step(self.operation, number=self.numbers[index], device=self.places[0][1])
        variable, device = self.places[index]
        return Step(self.operation, variable, device=device)


class Holdings(Struct):
    """The guest's PASIDs by what they are, and what they are bound to; looked at once per draw.

    `free` are alive and bound to nothing, `held` are bound, `dead` are not alive; `bound` has each
    PASID with each device that it is bound to; `apart` and `joined` each live one with the first
    device of each group that it is not, or is, bound to.
    """

    running: int
    live: list[str]
    free: list[Place]
    held: list[Place]
    dead: list[Place]
    bound: list[Place]
    apart: list[Place]
    joined: list[Place]


def all_of(guest: "Guest") -> list[Choice]:
    """What makes sense now, the plainest first."""
    weights, holdings = guest.plan.mix, holdings_of(guest)
    found: list[Choice] = []
    for what, weight in weights.items():
        places = good_places(guest, what, holdings) if weight else []
        if places:
            found.append(Choice(weight, what, places))
    for what in guest.plan.misbehave:
        if what == "foreign-pasid":
            found += foreign_choices(guest)
            continue
        operation, places = bad_places(guest, what, holdings)
        if places:
            weight = max(1, weights.get(operation, 0))
            found.append(Choice(weight, operation, places, good=False))
    return found


def holdings_of(guest: "Guest") -> Holdings:
    """One look at all variables."""
    holdings = Holdings(len(guest.running()), [], [], [], [], [], [], [])
    for name, variable in guest.variables.items():
        place, groups = (name, ""), variable.bound
        if groups:
            holdings.held.append(place)
            holdings.bound += [(name, device) for group in groups for device in guest.groups[group]]
        elif variable.live:
            holdings.free.append(place)
        if not variable.live:
            holdings.dead.append(place)
            continue
        holdings.live.append(name)
        for group, devices in enumerate(guest.groups):
            if devices:
                where = holdings.joined if group in groups else holdings.apart
                where.append((name, devices[0]))
    return holdings


def good_places(guest: "Guest", operation: str, holdings: Holdings) -> list[Place]:
    """What a good guest could apply the operation to."""
    queues, ims = guest.queues, guest.ims
    match operation:
        case "alloc":
            if len(holdings.live) >= len(NAMES):
                return []
            unused = [name for name in NAMES if name not in holdings.live]
            return [(unused[0], "")]
        case "bind":
            return holdings.apart
        case "unbind":
            return holdings.joined
        case "free":
            return holdings.free
        case "dma" | "fault" | "portal" if holdings.running < ASYNC:
            return submittable(guest, holdings.bound)
        case "dma" | "fault" | "portal":
            return []
        case "enable":
            return [(name, d) for name, d in holdings.bound if queues.get(d) is None]
        case "disable" | "drain" if "no-response" in guest.plan.misbehave:
            return []  # Either would wait for ever for a page that the guest keeps back.
        case "disable" | "drain":
            return [("", d) for d in guest.devices if queues.get(d) is not None]
        case "ims":
            return [(name, d) for name, d in holdings.bound if d not in ims]
        case "unims":
            return [("", device) for device in guest.devices if device in ims]
        case "free-all" | "open-vm":
            return []  # A script's.
        case "reset":
            return [("", device) for device in guest.devices]
        case _:
            return [("", "")]


def submittable(guest: "Guest", bound: list[Place]) -> list[Place]:
    """A dedicated queue that serves another PASID takes none of this one."""
    if not guest.dedicated:
        return bound
    return [
        (name, device)
        for name, device in bound
        if device not in guest.dedicated
        or guest.queues.get(device) in {None, guest.variables[name].value.pasid}
    ]


def bad_places(guest: "Guest", misbehaviour: str, holdings: Holdings) -> tuple[str, list[Place]]:
    """The operation in which the guest misbehaves in this way, and what it could be about."""
    match misbehaviour:
        case "free-before-unbind":
            return "free", holdings.held
        case "unbind-with-dma" if holdings.running:
            return "unbind", [place for place in holdings.joined if is_flying(guest, *place)]
        case "double-free":
            return "free", holdings.dead
        case "late-unbind" if holdings.dead:
            firsts = [devices[0] for devices in guest.groups if devices]
            return "unbind", [(name, device) for name, _ in holdings.dead for device in firsts]
        case _:
            return "", []  # `no-response` is no operation.


def is_flying(guest: "Guest", variable: str, device: Name) -> bool:
    """Whether descriptors of the PASID are in a device of the group."""
    pasid = guest.variables[variable].value.pasid
    devices = guest.groups[guest.group_of(device)]
    return not all(is_settled(guest, one, pasid) for one in devices)


def foreign_choices(guest: "Guest") -> list[Choice]:
    """Numbers that are not the guest's own, whoever has them."""
    mine = [variable.value.pasid for variable in guest.variables.values() if variable.live]
    last = min(guest.pasids, NUMBERS)
    numbers = [number for number in range(1, last + 1) if number not in mine]
    first = [("", device) for device in guest.devices[:1]]
    shared = [("", device) for device in guest.devices if device not in guest.dedicated][:1]
    about = {"bind": first, "unbind": first, "free": [("", "")], "dma": shared}
    return [
        Choice(1, operation, places, numbers, good=False)
        for operation, places in about.items()
        if numbers and places
    ]
