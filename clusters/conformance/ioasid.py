"""The calls of drivers/iommu/ioasid.c as messages of the IOASID core.

The core is the specification.  What is said here is who sends which message for a recorded call,
how an answer is spelled in a trace, and which calls touch the same things.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, Protocol, cast

import msgspec

from actors.ioasid_core.state import Life
from clusters.cluster import Actor, ActorClass
from clusters.conformance.arguments import ARGS, CALLBACK_ARGS, check_args
from clusters.conformance.calls import Call, Value, said
from clusters.conformance.footprints import data_of, footprint, number_of, taken
from clusters.conformance.machine import CustomAllocator, TraceMachine
from clusters.conformance.operations import (
    NEVER,
    NOTHING,
    Footprint,
    Operation,
    Step,
)
from clusters.conformance.place import Place
from clusters.conformance.state import copy_of
from clusters.sim.search.frozen import Ghost
from protocol.effects import Send
from protocol.errors import ExperimentError
from protocol.machine import Machine
from protocol.messages import (
    AllocPasidGot,
    AllocPasidWithData,
    AnyMessage,
    CallGetter,
    CustomAlloc,
    CustomAllocGot,
    CustomFree,
    CustomFreed,
    FindPasid,
    FindPasidGot,
    FindPasidWithGetter,
    FreePasid,
    GetterReturned,
    Refused,
    RegisterAllocator,
    SetData,
    UnregisterAllocator,
)
from protocol.names import CORE, INVALID_PASID, KERNEL, NO_DATA, NO_SET, Name

SHOWN_MAX: Final = 32
"""Numbers of a range whose state is shown."""
POOL_MAX: Final = 1 << 16
"""Numbers that the model's pool has at most, whatever ranges are asked for."""
INVALID: Final = "INVALID"

HANDLERS: Final = {
    "ioasid_alloc": "on_set_data",
    "ioasid_free": "on_free_pasid",
    "ioasid_find": "on_getter_returned",
    "ioasid_set_data": "on_set_data",
    "ioasid_register_allocator": "on_register_allocator",
    "ioasid_unregister_allocator": "on_unregister_allocator",
}
"""What a core must have for a call: alloc brings private data, find a getter."""


class IoasidCalls:
    """The vocabulary, for one trace on one machine."""

    calls: Final = tuple(ARGS)

    def __init__(self, machine: TraceMachine, calls: Sequence[Call]) -> None:
        self._allocators = {one.name: one for one in machine.allocator}
        self._numbers: dict[str, int] = {}
        self._names: list[str | None] = [None]
        helpers = dict.fromkeys(one.helpers for one in machine.allocator)
        allocs = [f"custom_alloc_{name}" for name in helpers]
        frees = [f"custom_free_{name}" for name in helpers]
        self.callbacks = ("getter", *allocs, *frees)
        self._asked = pool_for(calls)
        self.pool = min(self._asked, machine.pool.pasids or POOL_MAX)

    def actor(self, kind: ActorClass) -> Actor:
        """The core as it is when the kernel starts: nothing is out."""
        core = kind.of(Machine((), (), (), pasids=self.pool, quota=self.pool), CORE)
        cast("_Core", core).incarnations = Ghost(0)
        return core

    def missing(self, kind: ActorClass, calls: Iterable[Call]) -> Counter[str]:
        """The calls that need what this core does not have, counted by name."""
        lacking = [name for name, handler in HANDLERS.items() if not hasattr(kind, handler)]
        return Counter(call.call for call in calls if call.call in lacking)

    def own(self, calls: Sequence[Call]) -> Sequence[Call]:
        """All of them, as they are."""
        return calls

    def gaps(self, calls: Iterable[Call]) -> str:
        """Why a trace cannot be judged although all its calls are known; empty: it can."""
        if self._asked > POOL_MAX:
            return f"a number as high as {self._asked - 1:,}: the model's pool ends at {POOL_MAX:,}"
        inside = {call.parent for call in calls if call.call == "getter"}
        for call in calls:
            if call.call == "ioasid_alloc" and call.args.get("min") == 0:
                return f"call {call.n} asks for numbers from 0, and the model's pool begins at 1"
            if (
                call.call == "ioasid_find"
                and call.args.get("getter")
                and not (isinstance(call.ret, str) and call.ret.startswith("-"))
                and call.seq_return is not None
                and call.n not in inside
            ):
                return (
                    f"call {call.n} (ioasid_find) had its getter called, and that is not in the"
                    " trace: record the getter, too"
                )
        return ""

    def operation(self, at: int, call: Call, callbacks: tuple[Call, ...]) -> Operation:
        """The request, and an answer for each callback."""
        check_args(call, ARGS[call.call])
        place = Place(at, call, callbacks)
        steps = [self._request(place)]
        for number, back in enumerate(callbacks):
            name = back.call.removesuffix(helpers_of(back.call))
            if back.call not in self.callbacks:
                raise ExperimentError(f"call {back.n} ({back.call}): is no callback of {call.call}")
            check_args(back, CALLBACK_ARGS[name])
            if back.seq_return is not None:
                steps.append(self._answer(place, number))
        return Operation(call, callbacks, tuple(steps))

    def without(self, actor: Actor, needed: int) -> Actor:
        """Without the private data of numbers that nobody looks up before it is another."""
        made = copy_of(actor)
        for number, life in enumerate(cast("_Core", made).lives):
            if life is not None and not needed & data_of(number):
                life.data = NO_DATA
        return made

    def state(self, actor: Actor, operations: Iterable[Operation]) -> list[str]:
        """What the core has of the numbers that these calls are about."""
        core = cast("_Core", actor)
        lines: list[str] = []
        if allocators := getattr(core, "allocators", []):
            names = ", ".join(f"{one.name} ({' '.join(one.sharing)})" for one in allocators)
            lines.append(f"custom allocators: {names}")
        numbers = self._numbers_of(operations)
        free = [str(one) for one in numbers if self._life(core, one) is None]
        out = [self._known_of(core, one, looked_up(operations)) for one in numbers]
        words = [("out", [one for one in out if one]), ("free", free)]
        return lines + [f"{key} {', '.join(those)}" for key, those in words if those]

    def _known_of(self, core: "_Core", number: int, looked: int) -> str:
        life = self._life(core, number)
        if life is None:
            return ""
        data = f" {said(self.name(life.data))}" if looked & data_of(number) else ""
        return f"{number} ({said(self.name(life.set))}{data})"

    def _life(self, core: "_Core", number: int) -> Life | None:
        return core.lives[number] if number < len(core.lives) else None

    def _numbers_of(self, operations: Iterable[Operation]) -> list[int]:
        numbers: set[int] = set()
        for call in [one.call for one in operations]:
            given = (call.args.get("ioasid"), call.ret if call.call == "ioasid_alloc" else None)
            numbers.update(one for one in given if isinstance(one, int))
            if call.call == "ioasid_alloc":
                low, high = number_of(call.args["min"]), number_of(call.args["max"])
                numbers.update(range(low, min(high, low + SHOWN_MAX - 1) + 1))
        return sorted(numbers)

    def loosened(self, operation: Operation, _last: Operation) -> Operation | None:
        """Not with helpers: they would have to answer other questions than were recorded.

        An alloc whose result does not count may take any number of its range.
        """
        call = operation.call
        if operation.callbacks or call.call.endswith("register_allocator"):
            return None
        mark = msgspec.structs.replace(operation.footprint, fresh=0)
        if call.call == "ioasid_alloc":
            low, high = number_of(call.args["min"]), min(number_of(call.args["max"]), self.pool)
            range_ = taken(low, high) if low <= high else 0
            mark = Footprint(mark.reads | range_, range_ | range_ << 1)
        step = msgspec.structs.replace(
            operation.steps[0], before=NEVER, asks=None, reads_as=None, footprint=mark
        )
        return msgspec.structs.replace(operation, steps=(step,))

    # --- Steps ------------------------------------------------------------------------------------

    def _request(self, place: Place) -> Step:
        message = _REQUESTS[place.call.call](self, place.call)
        return self._step(place, 0, (KERNEL, message))

    def _answer(self, place: Place, number: int) -> Step:
        back = place.callbacks[number]
        message = self._said(place.call, back)
        return self._step(place, number + 1, (self._whom(place.call, back), message))

    def _step(self, place: Place, number: int, sent: tuple[Name, AnyMessage]) -> Step:
        call, backs = place.call, place.callbacks
        returned = backs[number - 1].seq_return if number else None
        after = call.seq_invoke if returned is None else returned
        asks = None if number >= len(backs) else self._question(call, backs[number])
        before = call.seq_return if asks is None else backs[number].seq_invoke
        reads_as = None
        if asks is None and call.seq_return is not None:
            reads_as = _SPELLED.get(call.call, _plainly)
        find = call.call == "ioasid_find"
        return Step(
            operation=place.at,
            sender=sent[0],
            message=sent[1],
            after=after,
            before=NEVER if before is None else before,
            footprint=NOTHING if number and find else footprint(call, backs),
            asks=asks,
            reads_as=None if reads_as is None else partial(reads_as, self),
            ret=call.ret,
            early=call.call == "ioasid_set_data",
            pure=find and call.args["getter"] is None,
        )

    def _question(self, call: Call, back: Call) -> Send:
        """What the core must have asked for this callback to be made."""
        whom = self._whom(call, back)
        data = self.number(back.args["private"])
        if back.call == "getter":
            return Send(whom, CallGetter(KERNEL, call.n, data))
        if back.call.startswith("custom_alloc_"):
            low, high = number_of(back.args["min"]), number_of(back.args["max"])
            return Send(whom, CustomAlloc(call.n, low, high, data))
        return Send(whom, CustomFree(call.n, number_of(back.args["ioasid"]), data))

    def _whom(self, call: Call, back: Call) -> Name:
        if back.call == "getter":
            return str(call.args.get("getter"))
        return helpers_of(back.call)

    def _said(self, call: Call, back: Call) -> AnyMessage:
        """What the callback answered."""
        if back.call == "getter":
            return GetterReturned(KERNEL, call.n, valid=bool(back.ret))
        if back.call.startswith("custom_free_"):
            return CustomFreed(call.n)
        got = back.ret if back.ret.__class__ is int else INVALID_PASID
        return CustomAllocGot(call.n, got)

    def number(self, name: Value) -> int:
        """A number for a name; nothing is 0."""
        if name is None:
            return 0
        number = self._numbers.get(str(name))
        if number is None:
            self._names.append(str(name))
            number = self._numbers[str(name)] = len(self._names) - 1
        return number

    def name(self, number: int) -> str | None:
        """And back."""
        return self._names[number]

    def allocator(self, call: Call) -> CustomAllocator:
        """What the machine says of a custom allocator."""
        name = call.args["allocator"]
        found = self._allocators.get(str(name))
        if found is None:
            raise ExperimentError(
                f"call {call.n} ({call.call}): the machine has no allocator '{name}': describe it"
                " in an [[allocator]] of --machine FILE"
            )
        return found


def helpers_of(callback: str) -> Name:
    """Whose helper it is: custom_alloc_C0 is of C0."""
    words = callback.split("_", 2)
    return words[2] if words[0] == "custom" and len(words) > 2 else ""  # noqa: PLR2004


def looked_up(operations: Iterable[Operation]) -> int:
    """What these calls read."""
    marks = 0
    for one in operations:
        marks |= one.footprint.reads
    return marks


class _Core(Protocol):
    """What every core has."""

    incarnations: int
    lives: list[Life | None]


def pool_for(calls: Iterable[Call]) -> int:
    """As many numbers as a trace can tell apart, and one more for each call that did not return.

    One is left that nobody gets: whoever asks gets the same answers from a larger pool.
    """
    most, unfinished = 1, 0
    for call in calls:
        unfinished += call.seq_return is None
        if call.call == "ioasid_alloc" or call.call.startswith("custom_alloc_"):
            numbers = (call.ret, call.args.get("min"))
            most = max(most, *[one for one in numbers if isinstance(one, int)])
    return most + 1 + unfinished


# --- Requests, and how answers are spelled --------------------------------------------------------


def _alloc(calls: IoasidCalls, call: Call) -> AnyMessage:
    ioasids, private = calls.number(call.args["set"]), calls.number(call.args["private"])
    low, high = number_of(call.args["min"]), number_of(call.args["max"])
    return AllocPasidWithData(call.n, ioasids, low, high, private)


def _free(_calls: IoasidCalls, call: Call) -> AnyMessage:
    return FreePasid(call.n, NO_SET, number_of(call.args["ioasid"]), 0)


def _find(calls: IoasidCalls, call: Call) -> AnyMessage:
    ioasids, number = calls.number(call.args["set"]), number_of(call.args["ioasid"])
    getter = call.args["getter"]
    if getter is None:
        return FindPasid(call.n, ioasids, number)
    return FindPasidWithGetter(call.n, ioasids, number, str(getter))


def _set_data(calls: IoasidCalls, call: Call) -> AnyMessage:
    private = calls.number(call.args["private"])
    return SetData(call.n, number_of(call.args["ioasid"]), 0, private)


def _register(calls: IoasidCalls, call: Call) -> AnyMessage:
    found = calls.allocator(call)
    return RegisterAllocator(call.n, found.name, found.helpers, calls.number(found.data))


def _unregister(calls: IoasidCalls, call: Call) -> AnyMessage:
    found = calls.allocator(call)
    return UnregisterAllocator(call.n, found.name, found.helpers)


_REQUESTS: Final[dict[str, Callable[[IoasidCalls, Call], AnyMessage]]] = {
    "ioasid_alloc": _alloc,
    "ioasid_free": _free,
    "ioasid_find": _find,
    "ioasid_set_data": _set_data,
    "ioasid_register_allocator": _register,
    "ioasid_unregister_allocator": _unregister,
}


def _number_or_invalid(_calls: IoasidCalls, answer: AnyMessage) -> Value:
    return answer.pasid if isinstance(answer, AllocPasidGot) else INVALID


def _data_or_errno(calls: IoasidCalls, answer: AnyMessage) -> Value:
    if isinstance(answer, FindPasidGot):
        return calls.name(answer.data)
    return _plainly(calls, answer)


def _nothing(_calls: IoasidCalls, _answer: AnyMessage) -> Value:
    return None


def _plainly(_calls: IoasidCalls, answer: AnyMessage) -> Value:
    return f"-{answer.errno.value}" if isinstance(answer, Refused) else 0


_SPELLED: Final[dict[str, Callable[[IoasidCalls, AnyMessage], Value]]] = {
    "ioasid_alloc": _number_or_invalid,
    "ioasid_find": _data_or_errno,
    "ioasid_free": _nothing,
    "ioasid_unregister_allocator": _nothing,
}
