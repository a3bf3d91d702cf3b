"""The calls of drivers/iommu/iommu-sva-lib.c, up to 6.1, as messages of the SVA library.

What the library asks of the IOASID core was recorded inside its calls.  The death of an mm was not,
only that its number is freed: whose number that is follows from who got it last.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol, cast

import msgspec

from actors.sva.sva_lib import GETTER, IOMMU_SVA_PASID, Life
from clusters.cluster import Actor, ActorClass
from clusters.conformance.arguments import check_args
from clusters.conformance.calls import Call, Value
from clusters.conformance.ioasid import IoasidCalls
from clusters.conformance.machine import TraceMachine
from clusters.conformance.operations import NOTHING, Footprint, Operation
from clusters.conformance.outward import (
    NAME,
    NAME_OR_NULL,
    NUMBER,
    Asking,
    ended,
    errno_of,
    is_refusal,
    name_in,
    number_in,
    steps_of,
)
from clusters.conformance.sva import DROP, recorded
from protocol.effects import Send
from protocol.machine import Machine
from protocol.messages import (
    AllocPasidGot,
    AllocPasidWithData,
    AnyMessage,
    Done,
    FindPasidGot,
    FindPasidWithGetter,
    FreePasid,
    Refused,
)
from protocol.messages.sva import MmPasidDrop, SvaAllocPasid, SvaFind, SvaFindGot
from protocol.names import CORE, NO_DATA, Name

ALLOC: Final = "iommu_sva_alloc_pasid"
FIND: Final = "iommu_sva_find"
CALLS: Final = (ALLOC, FIND)
"""Those that only it has."""
FREE: Final = "ioasid_free"
SET: Final = "iommu_sva_pasid"
"""What a trace calls the set of all mms."""
NOBODY: Final = "nobody"
"""Whose number is freed that nobody had."""
ARGS: Final = {
    ALLOC: {"mm": NAME, "min": NUMBER, "max": NUMBER},
    FIND: {"pasid": NUMBER},
    DROP: {"mm": NAME},
}
CALLBACK_ARGS: Final = {
    "ioasid_alloc": {"set": NAME, "min": NUMBER, "max": NUMBER, "private": NAME},
    "ioasid_find": {"set": NAME, "ioasid": NUMBER, "getter": NAME_OR_NULL},
    FREE: {"ioasid": NUMBER},
}
LOCK: Final = 1
FOLD: Final = 4096


class SvaLibraryCalls:
    """The vocabulary, for one trace."""

    calls: Final = tuple(ARGS)
    callbacks: Final = tuple(CALLBACK_ARGS)

    def __init__(self, _machine: TraceMachine, calls: Sequence[Call]) -> None:
        named = [call.args.get("mm") for call in calls] + [call.ret for call in calls]
        mms = [one for one in named if isinstance(one, str) and one[:1] not in ("", "-")]
        self._mms = {mm: at for at, mm in enumerate(dict.fromkeys(mms), start=1)}

    def own(self, calls: Iterable[Call]) -> list[Call]:
        """Calls of the library, what happened inside, and for each free the death of an mm."""
        kept: dict[int, Call] = {}
        owners: dict[Value, str] = {}
        for event, call in _ends(calls):
            if call.call == "ioasid_alloc" and event == call.seq_return:
                owners[call.ret] = str(call.args.get("private"))
            if event != call.seq_invoke:
                continue
            if call.call == FREE and call.parent is None:
                mm = owners.pop(call.args.get("ioasid"), NOBODY)
                kept[call.n] = msgspec.structs.replace(
                    call, call=DROP, args={"mm": mm}, seq_invoke=event - 1,
                    seq_return=None if call.seq_return is None else call.seq_return + 1,
                )  # fmt: skip
                kept[-1 - call.n] = msgspec.structs.replace(call, n=-1 - call.n, parent=call.n)
            elif call.parent is not None or call.call not in IoasidCalls.calls:
                kept[call.n] = call
        return list(kept.values())

    def actor(self, kind: ActorClass) -> Actor:
        """No mm has a PASID."""
        machine = Machine((), (), (), processes=tuple(self._mms))
        return recorded(kind).of(machine, "sva")

    def missing(self, kind: ActorClass, calls: Iterable[Call]) -> Counter[str]:
        """The calls that need what this library does not have, counted by name."""
        lacking = () if hasattr(kind, "on_sva_alloc_pasid") else self.calls
        return Counter(call.call for call in calls if call.call in lacking)

    def gaps(self, _calls: Iterable[Call]) -> str:
        """Nothing is missing that the library needs."""
        return ""

    def operation(self, at: int, call: Call, callbacks: tuple[Call, ...]) -> Operation:
        """The request, and an answer for each callback."""
        check_args(call, ARGS[call.call])
        for back in callbacks:
            check_args(back, CALLBACK_ARGS[back.call])
        asking = Asking(
            request=_request(call),
            questions=tuple(self._question(call, back) for back in callbacks),
            answers=tuple((CORE, self._answer(call, back)) for back in ended(callbacks)),
            reads_as=_found if call.call == FIND else _plainly if call.call == ALLOC else _nothing,
        )
        marks = self._marks(call, callbacks)
        return Operation(call, callbacks, steps_of(at, call, callbacks, asking, marks))

    def _marks(self, call: Call, callbacks: Sequence[Call]) -> tuple[Footprint, ...]:
        """A look-up changes nothing; an allocation has the lock while it asks."""
        if call.call == FIND:
            return (NOTHING,) * (len(callbacks) + 1)
        mm = 2 << self._mms.get(str(call.args["mm"]), 0) % FOLD
        if call.call == DROP:
            return (Footprint(mm, mm), *([NOTHING] * len(callbacks)))
        if not callbacks and call.seq_return is not None:
            return (Footprint(LOCK | mm, 0),)
        return (Footprint(LOCK | mm, LOCK | mm),) * (len(callbacks) + 1)

    def _question(self, call: Call, back: Call) -> Send:
        """What the library must have asked for this call to be made."""
        if back.call == FREE:
            return Send(CORE, FreePasid(call.n, IOMMU_SVA_PASID, number_in(back, "ioasid"), 0))
        some_set = IOMMU_SVA_PASID if name_in(back, "set") == SET else 0
        if back.call == "ioasid_find":
            getter = str(back.args["getter"])
            find = FindPasidWithGetter(call.n, some_set, number_in(back, "ioasid"), getter)
            return Send(CORE, find)
        low, high = number_in(back, "min"), number_in(back, "max")
        data = self._mms.get(name_in(back, "private"), NO_DATA)
        return Send(CORE, AllocPasidWithData(call.n, some_set, low, high, data))

    def _answer(self, call: Call, back: Call) -> AnyMessage:
        if back.ret == "INVALID" or is_refusal(back.ret):
            return Refused(call.n, errno_of(back))
        match back.call:
            case "ioasid_alloc":
                return AllocPasidGot(call.n, number_in(back), 0)
            case "ioasid_find":
                return FindPasidGot(call.n, self._mms.get(str(back.ret), NO_DATA))
            case _:
                return Done(call.n)

    def without(self, actor: Actor, _needed: int) -> Actor:
        """All of it is looked at by whatever comes later."""
        return actor

    def loosened(self, operation: Operation, last: Operation) -> Operation | None:
        """What is done to another mm only takes the lock; else other questions would be asked."""
        if operation.call.args.get("mm") == last.call.args.get("mm"):
            return None
        return msgspec.structs.replace(operation, steps=())

    def state(self, actor: Actor, operations: Iterable[Operation]) -> list[str]:
        """What the library has of the mms that these calls are about."""
        core = cast("_Library", actor)
        lines = [] if core.holder is None else [f"the lock is held by call {core.holder}"]
        for mm in dict.fromkeys(str(one.call.args.get("mm", "")) for one in operations):
            if mm:
                life = core.lives.get(mm)
                lines.append(f"{mm} has {'no PASID' if life is None else f'PASID {life.pasid}'}")
        return lines


class _Library(Protocol):
    """What every library has."""

    lives: Mapping[Name, Life]
    holder: int | None


def _ends(calls: Iterable[Call]) -> list[tuple[int, Call]]:
    """Entries and returns, in the order of the trace."""
    events = [(call.seq_invoke, call) for call in calls]
    events += [(call.seq_return, call) for call in calls if call.seq_return is not None]
    return sorted(events, key=lambda event: event[0])


def _request(call: Call) -> AnyMessage:
    match call.call:
        case "iommu_sva_alloc_pasid":
            low, high = number_in(call, "min"), number_in(call, "max")
            return SvaAllocPasid(call.n, name_in(call, "mm"), low, high)
        case "iommu_sva_find":
            return SvaFind(call.n, number_in(call, "pasid"))
        case _:
            return MmPasidDrop(call.n, name_in(call, "mm"))


def _plainly(answer: AnyMessage) -> Value:
    return f"-{answer.errno.value}" if isinstance(answer, Refused) else 0


def _found(answer: AnyMessage) -> Value:
    return (answer.mm or None) if isinstance(answer, SvaFindGot) else _plainly(answer)


def _nothing(_answer: AnyMessage) -> Value:
    return None


class IoasidBelowSva(IoasidCalls):
    """The calls of the IOASID core that were made inside those of the library.

    The getter of a look-up was not recorded: where it refused, its find is not looked at.
    """

    def own(self, calls: Iterable[Call]) -> list[Call]:
        """They stand alone, and a find that returned an mm is one without a getter."""
        kept: list[Call] = []
        for call in calls:
            if call.call not in self.calls:
                continue
            args = call.args
            if args.get("getter") == GETTER:
                if call.ret is None:
                    continue
                args = {**args, "getter": None}
            kept.append(msgspec.structs.replace(call, parent=None, args=args))
        return kept
