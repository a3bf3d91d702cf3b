"""The calls of drivers/iommu/iommu.c as messages of the IOMMU core.

The core is the specification.  What is said here is who sends which message for a recorded call,
how an answer is spelled in a trace, and what the driver was asked and answered meanwhile.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, Protocol, cast

import msgspec

from actors.iommu_core.state import GroupState, Slot
from clusters.cluster import Actor, ActorClass
from clusters.conformance.arguments import NAME, NUMBER, check_args
from clusters.conformance.attach_marks import Marks, pasid_of
from clusters.conformance.calls import Call, Value
from clusters.conformance.machine import TraceMachine
from clusters.conformance.operations import NEVER, Footprint, Operation, Step
from clusters.conformance.place import Place
from clusters.conformance.state import copy_of
from clusters.sim.search.frozen import Ghost
from protocol.domains import BLOCKING, NULL, Domain, Group
from protocol.effects import Send
from protocol.errors import Errno, ExperimentError
from protocol.machine import Device, Machine
from protocol.messages import AnyMessage, Done, Refused
from protocol.messages.iommu_core import (
    AllocGlobalPasid,
    AllocGlobalPasidGot,
    AttachDevicePasid,
    AttachGroupHandle,
    AttachHandleGet,
    AttachHandleGot,
    ClaimDmaOwner,
    DetachDevicePasid,
    DetachGroupHandle,
    FreeGlobalPasid,
    PlugDevice,
    ReleaseDmaOwner,
    RemoveDevPasid,
    ReplaceDevicePasid,
    ReplaceGroupHandle,
    SetDevPasid,
    UnplugDevice,
)
from protocol.names import IOMMU, IOMMU_CORE, KERNEL, Name

WORD: Final = (str,)
INVALID: Final = "INVALID"
ATTACH: Final = {"domain": WORD, "dev": WORD, "pasid": NUMBER, "handle": NAME}
GROUP: Final = {"domain": WORD, "group": WORD, "handle": NAME}
ARGS: Final[dict[str, dict[str, tuple[type, ...]]]] = {
    "iommu_attach_device_pasid": ATTACH,
    "iommu_replace_device_pasid": ATTACH,
    "iommu_detach_device_pasid": {"domain": WORD, "dev": WORD, "pasid": NUMBER},
    "iommu_attach_handle_get": {"group": WORD, "pasid": NUMBER, "type": WORD},
    "iommu_attach_group_handle": GROUP,
    "iommu_replace_group_handle": GROUP,
    "iommu_detach_group_handle": {"domain": WORD, "group": WORD},
    "iommu_device_claim_dma_owner": {"dev": WORD, "owner": NAME},
    "iommu_device_release_dma_owner": {"dev": WORD},
    "iommu_alloc_global_pasid": {"dev": WORD},
    "iommu_free_global_pasid": {"pasid": NUMBER},
    "device_plug": {},
    "device_unplug": {},
}
DRIVER_ARGS: Final[dict[str, tuple[type, ...]]] = {"domain": WORD, "dev": WORD, "pasid": NUMBER}
SET: Final = "set_dev_pasid"
REMOVE: Final = "remove_dev_pasid"
INNER: Final = ("iommu_probe_device", "iommu_deinit_device")
"""What plugging does inside: it names the device, and is no question."""
MM_DROP: Final = "mm_pasid_drop"
"""The end of an address space: without a PASID it does nothing, and has nothing inside."""
NOMEM: Final = "-ENOMEM"
MAY_FAIL: Final = (
    "iommu_attach_device_pasid",
    "iommu_replace_device_pasid",
    "iommu_attach_group_handle",
    "iommu_replace_group_handle",
    "iommu_device_claim_dma_owner",
)
"""Calls that need memory of their own."""
WITH_DRIVER: Final = (
    "iommu_attach_device_pasid",
    "iommu_replace_device_pasid",
    "iommu_detach_device_pasid",
)


class AttachCalls:
    """The vocabulary, for one trace on one machine."""

    calls: Final = tuple(ARGS)
    callbacks: Final = (SET, REMOVE, *INNER, MM_DROP)

    def __init__(self, machine: TraceMachine, calls: Sequence[Call]) -> None:
        self._machine = machine
        self._marks = Marks(machine, calls)
        self._devices = [one.name for one in machine.device]
        self._domains = {one.name for one in machine.domain}
        groups = dict.fromkeys(one.group for one in machine.device if one.unit)
        self._numbers = {group: at for at, group in enumerate(groups, start=1)}
        refusing = {one.parent for one in calls if one.ret == NOMEM and one.parent is not None}
        self._no_memory = any(
            call.ret == NOMEM and call.n not in refusing and call.call in MAY_FAIL for call in calls
        )

    def actor(self, kind: ActorClass) -> Actor:
        """The core as it is at the beginning: nothing is attached, no number is out."""
        devices = tuple(
            Device(one.name, one.unit, pasids=one.pasids) for one in self._machine.device
        )
        groups = tuple(
            Group(name, tuple(one.name for one in self._machine.device if one.group == name))
            for name in self._numbers
        )
        domains = tuple(
            Domain(self.domain(one.name), one.kind, one.unit, one.pasid)
            for one in self._machine.domain
        )
        core = kind.of(Machine((), devices, (), groups=groups, domains=domains), IOMMU_CORE)
        cast("_Core", core).incarnations = Ghost(0)
        return core

    def missing(self, kind: ActorClass, calls: Iterable[Call]) -> Counter[str]:
        """The calls that need what this actor does not have, counted by name."""
        if hasattr(kind, "on_attach_handle_get"):
            return Counter()
        return Counter(call.call for call in calls if call.call in self.calls)

    def own(self, calls: Sequence[Call]) -> Sequence[Call]:
        """All of them, as they are."""
        return calls

    def gaps(self, calls: Iterable[Call]) -> str:
        """Why a trace cannot be judged although all its calls are known; empty: it can."""
        limits = {one.group: one.pasids for one in self._machine.device if one.pasids}
        asked = {call.parent for call in calls if call.call == SET}
        for call in calls:
            if call.parent is not None and call.call in self.calls:
                return f"call {call.n} ({call.call}) is inside another call that is not modelled"
            if (
                call.call == "iommu_attach_device_pasid"
                and call.ret == 0
                and not asked
                and self._marks.group_of.get(str(call.args.get("dev"))) in limits
            ):
                return (
                    f"call {call.n} ({call.call}) had the driver called, and that is not in the"
                    " trace: record the driver, too"
                )
        return ""

    def operation(self, at: int, call: Call, callbacks: tuple[Call, ...]) -> Operation:
        """The request, and an answer for each call of the driver."""
        check_args(call, ARGS[call.call])
        asked = () if call.call.startswith("device_") else callbacks
        place = Place(at, call, asked)
        for back in asked:
            if back.call not in (SET, REMOVE):
                raise ExperimentError(f"call {back.n} ({back.call}): is no callback of {call.call}")
            check_args(back, DRIVER_ARGS)
        footprint = self._marks.of(call, callbacks)
        steps = [self._step(place, 0, (KERNEL, self._request(call, callbacks)), footprint)]
        for number, back in enumerate(asked):
            if back.seq_return is not None:
                sent = (IOMMU, self._answer(back))
                steps.append(self._step(place, number + 1, sent, footprint))
        return Operation(call, asked, tuple(steps))

    def without(self, actor: Actor, _needed: int) -> Actor:
        """All of it is needed."""
        return copy_of(actor)

    def loosened(self, operation: Operation, _last: Operation) -> Operation | None:
        """Not with calls of the driver: it would have to be asked otherwise than was recorded."""
        call = operation.call
        if operation.callbacks or call.call in WITH_DRIVER:
            return None
        anything = msgspec.structs.replace(call, seq_return=None, ret=None)
        step = msgspec.structs.replace(
            operation.steps[0],
            before=NEVER,
            asks=None,
            reads_as=None,
            footprint=self._marks.of(anything, ()),
        )
        return msgspec.structs.replace(operation, steps=(step,))

    def state(self, actor: Actor, operations: Iterable[Operation]) -> list[str]:
        """What the core has of the groups and numbers that these calls are about."""
        core = cast("_Core", actor)
        groups: dict[str, None] = {}
        numbers = False
        for one in operations:
            args = one.call.args
            name = args.get("group") or self._marks.group_of.get(str(args.get("dev")))
            groups |= {str(name): None} if name else {}
            numbers = numbers or one.call.call.endswith("_global_pasid")
        lines = [self._group_line(core, core.groups[name]) for name in groups]
        if numbers:
            lines.append(f"numbers out {', '.join(map(str, sorted(core.numbers))) or 'none'}")
        return lines

    def _group_line(self, core: "_Core", group: GroupState) -> str:
        slots = [item for table in group.tables.values() for item in sorted(table.items())]
        words = [f"{pasid} {self._slot_words(core, slot)}" for pasid, slot in slots]
        owner = f", owned by {group.owner}" if group.owner else ""
        return f"{group.name}{owner}: {', '.join(words) or 'nothing attached'}"

    def _slot_words(self, core: "_Core", slot: Slot) -> str:
        domain = core.handles[slot.handle] if slot.handle else slot.domain
        return f"{domain} ({slot.handle or 'no handle'})"

    # --- Steps ------------------------------------------------------------------------------------

    def _step(
        self, place: Place, number: int, sent: tuple[Name, AnyMessage], footprint: Footprint
    ) -> Step:
        call, backs = place.call, place.callbacks
        returned = backs[number - 1].seq_return if number else None
        after = call.seq_invoke if returned is None else returned
        asks = None if number >= len(backs) else self._question(backs[number])
        before = call.seq_return if asks is None else backs[number].seq_invoke
        reads_as = None
        if asks is None and call.seq_return is not None:
            reads_as = partial(_SPELLED.get(call.call, _plainly), self)
        return Step(
            operation=place.at,
            sender=sent[0],
            message=sent[1],
            after=after,
            before=NEVER if before is None else before,
            footprint=footprint,
            asks=asks,
            reads_as=reads_as,
            ret=call.ret,
            pure=call.call == "iommu_attach_handle_get",
            fails=not backs and self._without_memory(call),
        )

    def _without_memory(self, call: Call) -> bool:
        """Whether it was refused for lack of memory: a number may have been, where others were."""
        if call.call in MAY_FAIL:
            return call.ret == NOMEM
        return self._no_memory and call.call == "iommu_alloc_global_pasid" and call.ret == INVALID

    def _request(self, call: Call, callbacks: Sequence[Call]) -> AnyMessage:
        if call.call.startswith("device_"):
            device = self._marks.plugged(call, callbacks)
            return (PlugDevice if call.call == "device_plug" else UnplugDevice)(call.n, device)
        return _REQUESTS[call.call](self, call)

    def _question(self, back: Call) -> Send:
        """What the core must have told the driver."""
        device = self.device(back)
        call = self._numbers.get(self._marks.group_of[device], 0)
        pasid, domain = pasid_of(back), self.domain(back.args["domain"])
        if back.call == REMOVE:
            return Send(IOMMU, RemoveDevPasid(call, device, pasid, 0, domain))
        old = self.domain(back.args.get("old"))
        return Send(IOMMU, SetDevPasid(call, device, pasid, 0, domain, old))

    def _answer(self, back: Call) -> AnyMessage:
        """What the driver said."""
        call = self._numbers.get(self._marks.group_of[self.device(back)], 0)
        if back.ret in (0, None):
            return Done(call)
        try:
            return Refused(call, Errno(str(back.ret).removeprefix("-")))
        except ValueError:
            raise ExperimentError(
                f"call {back.n} ({back.call}): '{back.ret}' is no errno that a driver gives"
            ) from None

    def device(self, call: Call) -> Name:
        """The device of a call."""
        name = str(call.args["dev"])
        if name not in self._devices:
            raise ExperimentError(
                f"call {call.n} ({call.call}): the machine has no device '{name}': describe it in"
                " a [[device]] of --machine FILE"
            )
        return name

    def domain(self, name: Value) -> Name:
        """A domain as the core knows it."""
        if name is None:
            return NULL
        if name not in self._domains:
            raise ExperimentError(
                f"the machine has no domain '{name}': describe it in a [[domain]] of --machine FILE"
            )
        return BLOCKING.name if name == self._machine.blocking else str(name)


class _Core(Protocol):
    """What every such core has."""

    incarnations: int
    groups: dict[Name, GroupState]
    handles: dict[Name, Name]
    numbers: dict[int, int]


# --- Requests, and how answers are spelled --------------------------------------------------------


def _name(value: Value) -> Name:
    return NULL if value is None else str(value)


def _attach(calls: AttachCalls, call: Call) -> AnyMessage:
    kind = AttachDevicePasid if call.call.startswith("iommu_attach") else ReplaceDevicePasid
    domain, handle = calls.domain(call.args["domain"]), _name(call.args["handle"])
    return kind(call.n, calls.device(call), pasid_of(call), 0, domain, handle)


def _detach(calls: AttachCalls, call: Call) -> AnyMessage:
    domain = calls.domain(call.args["domain"])
    return DetachDevicePasid(call.n, calls.device(call), pasid_of(call), 0, domain)


def _get(_calls: AttachCalls, call: Call) -> AnyMessage:
    kind = str(call.args["type"])
    group = str(call.args["group"])
    return AttachHandleGet(call.n, group, pasid_of(call), "" if kind == "any" else kind)


def _group(calls: AttachCalls, call: Call) -> AnyMessage:
    group, domain = str(call.args["group"]), calls.domain(call.args["domain"])
    handle = _name(call.args.get("handle"))
    match call.call:
        case "iommu_attach_group_handle":
            return AttachGroupHandle(call.n, group, domain, handle)
        case "iommu_replace_group_handle":
            return ReplaceGroupHandle(call.n, group, domain, handle)
        case _:
            return DetachGroupHandle(call.n, group, domain, handle)


_REQUESTS: Final[dict[str, Callable[[AttachCalls, Call], AnyMessage]]] = {
    "iommu_attach_device_pasid": _attach,
    "iommu_replace_device_pasid": _attach,
    "iommu_detach_device_pasid": _detach,
    "iommu_attach_handle_get": _get,
    "iommu_attach_group_handle": _group,
    "iommu_replace_group_handle": _group,
    "iommu_detach_group_handle": _group,
    "iommu_device_claim_dma_owner": lambda calls, call: ClaimDmaOwner(
        call.n, calls.device(call), _name(call.args["owner"])
    ),
    "iommu_device_release_dma_owner": lambda calls, call: ReleaseDmaOwner(
        call.n, calls.device(call)
    ),
    "iommu_alloc_global_pasid": lambda calls, call: AllocGlobalPasid(call.n, calls.device(call)),
    "iommu_free_global_pasid": lambda _calls, call: FreeGlobalPasid(call.n, pasid_of(call), 0),
}


def _plainly(_calls: AttachCalls, answer: AnyMessage) -> Value:
    return f"-{answer.errno.value}" if isinstance(answer, Refused) else 0


def _nothing(_calls: AttachCalls, _answer: AnyMessage) -> Value:
    return None


def _number(_calls: AttachCalls, answer: AnyMessage) -> Value:
    return answer.pasid if isinstance(answer, AllocGlobalPasidGot) else INVALID


def _handle(calls: AttachCalls, answer: AnyMessage) -> Value:
    if isinstance(answer, AttachHandleGot):
        return answer.handle or None
    return _plainly(calls, answer)


_SPELLED: Final[dict[str, Callable[[AttachCalls, AnyMessage], Value]]] = {
    "iommu_attach_handle_get": _handle,
    "iommu_alloc_global_pasid": _number,
    "iommu_detach_device_pasid": _nothing,
    "iommu_detach_group_handle": _nothing,
    "iommu_device_release_dma_owner": _nothing,
    "iommu_free_global_pasid": _nothing,
    "device_unplug": _nothing,
}
