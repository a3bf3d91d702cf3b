"""Which recorded calls of the IOMMU core touch the same things.

A bit for each number that is out; for each group one for its lock, one for its owner and its domain
without PASID, and one for each slot.  A handle that is in one slot at a time needs none: its domain
changes with the slot.  One that a trace uses while it is in a slot has a bit of its own.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from clusters.conformance.calls import Call
from clusters.conformance.machine import TraceMachine
from clusters.conformance.operations import NEVER, Footprint
from protocol.errors import ExperimentError

NUMBERS: Final = 128
SLOTS: Final = 64
"""PASIDs that are so far apart share their bits: more may seem to depend than does."""
ROOM: Final = SLOTS + 2
INSTALLS: Final = ("iommu_attach_device_pasid", "iommu_replace_device_pasid")
OF_GROUP: Final = (
    "iommu_attach_group_handle",
    "iommu_replace_group_handle",
    "iommu_detach_group_handle",
)


class Marks:
    """The bits, for the groups of a machine and one trace."""

    def __init__(self, machine: TraceMachine, calls: Sequence[Call]) -> None:
        self.group_of = {one.name: one.group for one in machine.device}
        self._limits = {one.name: one.pasids for one in machine.device}
        groups = dict.fromkeys(one.group for one in machine.device if one.group)
        self._bases = {group: 1 + NUMBERS + ROOM * at for at, group in enumerate(groups)}
        self._handles = {
            handle: 1 << 1 + NUMBERS + ROOM * len(groups) + at
            for at, handle in enumerate(handles_in_place(calls, self.group_of))
        }
        self._seen_at: dict[tuple[str, int], int] = {}
        for call in calls:
            slot, bit = slot_of(call, self.group_of), self.handle(call)
            if slot is not None and bit:
                self._seen_at[slot] = self._seen_at.get(slot, 0) | bit

    def numbers(self, low: int, high: int) -> int:
        """The bits of these numbers."""
        if high - low >= NUMBERS:
            low, high = 0, NUMBERS - 1
        return sum(1 << 1 + number % NUMBERS for number in range(low, high + 1))

    def lock(self, group: str) -> int:
        """The group's lock, and which devices are in it."""
        return 1 << self._bases[group]

    def owner(self, group: str) -> int:
        """Who owns the group, and its domain without PASID."""
        return 2 << self._bases[group]

    def slot(self, group: str, pasid: int) -> int:
        """The slot of a PASID."""
        return 4 << self._bases[group] + pasid % SLOTS

    def handle(self, call: Call) -> int:
        """The bit of the call's handle."""
        return self._handles.get(str(call.args.get("handle")), 0)

    def domains(self, group: str, pasid: int) -> int:
        """What the handles say that may be in a slot."""
        return self._seen_at.get((group, pasid), 0)

    def slots(self, group: str) -> int:
        """All of them."""
        return (1 << SLOTS) - 1 << self._bases[group] + 2

    def of(self, call: Call, callbacks: Sequence[Call]) -> Footprint:
        """What a call with that result reads and writes; without one, whatever it might."""
        if call.call.endswith("_global_pasid"):
            return self._number(call)
        group = self._group(call, callbacks)
        if group not in self._bases:
            return Footprint(0, 0)
        if call.call.startswith("device_"):
            return Footprint(0, self.lock(group) | self.owner(group) | self.slots(group))
        if call.call == "iommu_attach_handle_get":
            said = 0 if call.ret == "-ENOENT" else self.domains(group, pasid_of(call))
            return Footprint(self.slot(group, pasid_of(call)) | said, 0)
        if "dma_owner" in call.call:
            return self._owning(call, group)
        if call.call in OF_GROUP:
            mine = self.owner(group) | self.slot(group, 0)
            refused = call.seq_return is not None and call.ret not in (0, None)
            reads = self.lock(group) | mine | self.domains(group, 0)
            return Footprint(reads, self.handle(call) | (0 if refused else mine))
        return self._attaching(call, group, callbacks)

    def _group(self, call: Call, callbacks: Sequence[Call]) -> str:
        if "group" in call.args:
            return str(call.args["group"])
        if call.call.startswith("device_"):
            return self.group_of.get(self.plugged(call, callbacks), "")
        return self.group_of.get(str(call.args.get("dev")), "")

    def plugged(self, call: Call, callbacks: Sequence[Call]) -> str:
        """The device that comes or goes: what happens inside names it, else its place does."""
        named = [str(one.args["dev"]) for one in callbacks if "dev" in one.args]
        place = str(call.args.get("n", ""))
        if not named and place.isdecimal() and int(place) < len(self._limits):
            named = [[*self._limits][int(place)]]
        if not named:
            raise ExperimentError(f"call {call.n} ({call.call}): which device? nothing says it")
        return named[0]

    def _number(self, call: Call) -> Footprint:
        if call.call == "iommu_free_global_pasid":
            number = pasid_of(call)
            return Footprint(0, self.numbers(number, number))
        top = self._limits.get(str(call.args["dev"]), 0) - 1
        if call.seq_return is None:
            return Footprint(0, self.numbers(1, top))
        if isinstance(call.ret, int):
            number = self.numbers(call.ret, call.ret)
            return Footprint(self.numbers(1, call.ret), number)
        return Footprint(self.numbers(1, top), 0)

    def _owning(self, call: Call, group: str) -> Footprint:
        owner = self.owner(group)
        if call.ret == "-EPERM":
            return Footprint(self.lock(group) | owner, 0)
        changes = call.seq_return is None or call.ret in (0, None)
        return Footprint(self.lock(group) | owner | self.slots(group), owner if changes else 0)

    def _attaching(self, call: Call, group: str, callbacks: Sequence[Call]) -> Footprint:
        slot, lock = self.slot(group, pasid_of(call)), self.lock(group)
        said, handle = self.domains(group, pasid_of(call)), self.handle(call)
        if call.seq_return is None or callbacks:
            return Footprint(said, slot | lock | handle)
        refused = call.ret not in (0, None)
        return Footprint(lock | slot | said, handle if refused else slot | handle)


def pasid_of(call: Call) -> int:
    """The PASID of a call whose arguments have been checked."""
    value = call.args["pasid"]
    assert isinstance(value, int), "checked before"
    return value


class Use(Struct, frozen=True):
    """Where a call put a handle, until when it was under way, and whether the handle stayed."""

    slot: tuple[str, int]
    ended: int
    stays: bool


def handles_in_place(calls: Sequence[Call], group_of: dict[str, str]) -> list[str]:
    """The handles that may be used while they are in a slot: none where callers keep the rules.

    It has gone from a slot if a detach, or a replace, of that slot began after it was put there and
    had returned before it is used again.  A group's own replace may bring the same handle.
    """
    put: dict[str, Use] = {}
    gone: dict[tuple[str, int], Call] = {}
    found: dict[str, None] = {}
    for _, returns, call in _events(calls):
        slot, handle = slot_of(call, group_of), str(call.args.get("handle"))
        if slot is None:
            continue
        if returns and call.ret in (0, None) and not call.call.startswith("iommu_attach_"):
            gone[slot] = call
        if returns or call.args.get("handle") is None:
            continue
        before = put.get(handle)
        if before is not None and _is_in(before, gone.get(before.slot), call, slot):
            found[handle] = None
        ended = NEVER if call.seq_return is None else call.seq_return
        put[handle] = Use(slot, ended, call.ret == 0 or ended == NEVER)
    return [*found]


def _is_in(use: Use, gone: Call | None, call: Call, slot: tuple[str, int]) -> bool:
    """Whether the handle may be where it was put when another call brings it."""
    if use.ended > call.seq_invoke:
        return True
    if not use.stays or (call.call == "iommu_replace_group_handle" and use.slot == slot):
        return False
    return gone is None or gone.seq_invoke < use.ended


def _events(calls: Sequence[Call]) -> list[tuple[int, bool, Call]]:
    """Entries and returns in order."""
    outer = [call for call in calls if call.parent is None]
    events = [(call.seq_invoke, False, call) for call in outer]
    events += [(call.seq_return, True, call) for call in outer if call.seq_return is not None]
    return sorted(events, key=lambda one: one[0])


def slot_of(call: Call, group_of: dict[str, str]) -> tuple[str, int] | None:
    """The slot that a call is about."""
    if call.call in OF_GROUP:
        return str(call.args.get("group")), 0
    if call.call in (*INSTALLS, "iommu_detach_device_pasid"):
        pasid = call.args.get("pasid")
        dev = str(call.args.get("dev"))
        return (group_of.get(dev, ""), pasid) if isinstance(pasid, int) else None
    return None
