"""The calls of drivers/iommu/iommu-sva.c as messages of the SVA core.

The SVA core is the specification; what it asks outwards (the IOMMU core, the driver) was recorded
inside its calls, and the recorded results are the answers.  Whether the IOMMU core did right, also
in calls of others, is asked in `below_sva`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, cast

import msgspec

from actors.sva.state import Bind, Bond, Mm
from clusters.cluster import Actor, ActorClass
from clusters.conformance.arguments import check_args
from clusters.conformance.births import UNBORN
from clusters.conformance.calls import Call, Value
from clusters.conformance.machine import TraceMachine
from clusters.conformance.operations import NOTHING, Footprint, Operation
from clusters.conformance.outward import (
    NAME,
    NUMBER,
    Asking,
    ended,
    errno_of,
    is_refusal,
    name_in,
    number_in,
    steps_of,
)
from protocol.effects import Out, Send
from protocol.errors import ExperimentError
from protocol.machine import Machine
from protocol.messages import AnyMessage, Done, Refused
from protocol.messages.iommu_core import (
    AllocGlobalPasid,
    AllocGlobalPasidGot,
    AttachDevicePasid,
    AttachHandleGet,
    AttachHandleGot,
    DetachDevicePasid,
    FreeGlobalPasid,
)
from protocol.messages.sva import (
    DomainAllocSva,
    DomainAllocSvaGot,
    DomainFree,
    MmPasidDrop,
    SvaBindDevice,
    SvaBindDeviceGot,
    SvaGetPasid,
    SvaGetPasidGot,
    SvaUnbindDevice,
)
from protocol.names import INVALID_PASID, IOMMU, IOMMU_CORE, Name

BIND: Final = "iommu_sva_bind_device"
UNBIND: Final = "iommu_sva_unbind_device"
GET_PASID: Final = "iommu_sva_get_pasid"
DROP: Final = "mm_pasid_drop"
CALLS: Final = (BIND, UNBIND, GET_PASID)
"""Those that only it has."""
ATTACH: Final = "iommu_attach_device_pasid"
DEVICE: Final = {"dev": NAME}
ARGS: Final = {
    BIND: {**DEVICE, "mm": NAME},
    UNBIND: {"handle": NAME},
    GET_PASID: {"handle": NAME},
    DROP: {"mm": NAME},
}
CALLBACK_ARGS: Final = {
    "iommu_alloc_global_pasid": DEVICE,
    "iommu_free_global_pasid": {"pasid": NUMBER},
    "iommu_attach_handle_get": {"group": NAME, "pasid": NUMBER, "type": NAME},
    ATTACH: {"domain": NAME, **DEVICE, "pasid": NUMBER, "handle": NAME},
    "iommu_detach_device_pasid": {"domain": NAME, **DEVICE, "pasid": NUMBER},
    "domain_alloc_sva": {**DEVICE, "mm": NAME},
    "domain_free": {"domain": NAME},
}
OTHERS: Final = (
    "set_dev_pasid",
    "remove_dev_pasid",
    "iommu_device_claim_dma_owner",
    "iommu_device_release_dma_owner",
    "iommu_attach_group_handle",
    "iommu_detach_group_handle",
    "iommu_replace_group_handle",
)
"""What may be recorded at the same time: the core and its driver, which are not looked at here."""
OFF: Final = "-EOPNOTSUPP"

LOCK: Final = 1
FOLD: Final = 4096


class SvaCalls:
    """The vocabulary, for one trace on one machine."""

    calls: Final = tuple(ARGS)
    callbacks: Final = tuple(CALLBACK_ARGS)

    def __init__(self, machine: TraceMachine, calls: Sequence[Call]) -> None:
        self._limits = {one.name: one.pasids for one in machine.device}
        self._groups: dict[Name, Name] = {}
        self._mms: dict[str, int] = {}
        self._bonds: dict[str, Call] = {}
        by_n = {call.n: call for call in calls}
        for call in calls:
            device, group = call.args.get("dev"), call.args.get("group")
            if isinstance(device, str) and isinstance(group, str):
                self._put(device, group, call)
            parent = None if call.parent is None else by_n[call.parent]
            attached = call.ret == 0 or call.seq_return is None
            if call.call == ATTACH and attached and parent is not None:
                self._bonds.setdefault(str(call.args.get("handle")), parent)
        self._handles = {handle_of(bind): name for name, bind in self._bonds.items()}
        binds = [call for call in calls if call.call == BIND]
        inside = {call.parent for call in calls}
        self._off = bool(binds) and all(one.ret == OFF and one.n not in inside for one in binds)

    def _put(self, device: Name, group: Name, call: Call) -> None:
        """A device is always in the same group."""
        known = self._groups.setdefault(device, group)
        if known != group:
            raise ExperimentError(
                f"call {call.n} ({call.call}): {device} is in group {known}, not {group}"
            )

    def own(self, calls: Iterable[Call]) -> list[Call]:
        """The calls of this interface and what happened directly inside them.

        An mm's last reference may go while a task is in a call that has nothing to do with it.
        """
        kept: dict[int, Call] = {}
        for call in calls:
            if call.call == DROP:
                kept[call.n] = msgspec.structs.replace(call, parent=None)
            elif call.parent is None:
                if call.call not in CALLBACK_ARGS and call.call not in OTHERS:
                    kept[call.n] = call
            elif call.parent in kept and kept[call.parent].call in ARGS:
                kept[call.n] = call
        return list(kept.values())

    def actor(self, kind: ActorClass) -> Actor:
        """The SVA core as it is when the kernel starts: nobody is bound."""
        made = recorded(kind).of(Machine((), (), ()), "sva")
        core = cast("_Core", made)
        core.groups, core.limits = dict(self._groups), dict(self._limits)
        if self._off and hasattr(core, "off"):
            core.off = True
        return made

    def missing(self, kind: ActorClass, calls: Iterable[Call]) -> Counter[str]:
        """The calls that need what this core does not have, counted by name."""
        lacking = () if hasattr(kind, "begin_bind") else self.calls
        return Counter(call.call for call in calls if call.call in lacking)

    def gaps(self, calls: Iterable[Call]) -> str:
        """Why a trace cannot be judged although all its calls are known; empty: it can."""
        for call in calls:
            device = call.args.get("dev")
            if call.call == BIND and call.args.get("group") and device not in self._limits:
                return (
                    f"how many PASIDs {device} has is not known: describe it in a [[device]] of"
                    " --machine FILE"
                )
        return ""

    def operation(self, at: int, call: Call, callbacks: tuple[Call, ...]) -> Operation:
        """The request, and an answer for each callback."""
        check_args(call, ARGS[call.call])
        for back in callbacks:
            check_args(back, CALLBACK_ARGS[back.call])
        asking = Asking(
            request=self._request(call),
            questions=tuple(self._question(call, back) for back in callbacks),
            answers=tuple(self._answer(call, back) for back in ended(callbacks)),
            reads_as=self._spelled,
        )
        marks = self._marks(call, callbacks)
        steps = steps_of(at, call, callbacks, asking, marks)
        if call.call == GET_PASID:
            steps = tuple(msgspec.structs.replace(step, pure=True) for step in steps)
        return Operation(call, callbacks, steps)

    def without(self, actor: Actor, _needed: int) -> Actor:
        """All of it is looked at by whatever comes later."""
        return actor

    def loosened(self, operation: Operation, last: Operation) -> Operation | None:
        """What is done to another mm only takes the lock; else other questions would be asked."""
        if self._mm_of(operation.call) == self._mm_of(last.call):
            return None
        return msgspec.structs.replace(operation, steps=())

    def state(self, actor: Actor, operations: Iterable[Operation]) -> list[str]:
        """What the core has of the mms that these calls are about."""
        core = cast("_Core", actor)
        lines = [] if core.holder is None else [f"the lock is held by call {core.holder}"]
        for name in dict.fromkeys(self._mm_of(one.call) for one in operations):
            mm = core.mms.get(name)
            if mm is None:
                lines.append(f"{name} has no PASID")
                continue
            domains = ", ".join(f"{one.name} ({one.users})" for one in mm.domains)
            lines.append(f"{name} has PASID {mm.pasid}, domains {domains or 'none'}")
            lines += [
                f"{self._handles.get(handle, handle)} of {bond.group} has {bond.users} users"
                for handle, bond in core.bonds.items()
                if bond.mm == name
            ]
        return lines

    # --- What touches what ------------------------------------------------------------------------

    def _mm_of(self, call: Call) -> str:
        if "mm" in call.args:
            return str(call.args["mm"])
        bind = self._bonds.get(str(call.args.get("handle")))
        return "" if bind is None else str(bind.args.get("mm"))

    def _marks(self, call: Call, callbacks: Sequence[Call]) -> tuple[Footprint, ...]:
        """For each step: the lock by its first and last, the mm by all."""
        name = self._mm_of(call)
        mm = 2 << self._mms.setdefault(name, len(self._mms) % FOLD)
        ended = call.seq_return is not None
        if call.call == GET_PASID:
            return (Footprint(mm, 0),)
        if call.call == DROP:
            return (Footprint(mm, mm), *([NOTHING] * len(callbacks)))
        if call.call == BIND and not callbacks and ended:
            return (Footprint(0 if call.args.get("group") is None or self._off else LOCK | mm, 0),)
        if not callbacks and ended:
            return (Footprint(LOCK | mm, mm),)
        outer, inner = Footprint(LOCK | mm, LOCK | mm), Footprint(mm, mm)
        if not ended:
            return (outer,) * (len(callbacks) + 1)
        return (outer, *([inner] * (len(callbacks) - 1)), outer)

    # --- Requests, questions, answers -------------------------------------------------------------

    def _request(self, call: Call) -> AnyMessage:
        match call.call:
            case "iommu_sva_bind_device":
                return SvaBindDevice(call.n, name_in(call, "dev"), name_in(call, "mm"))
            case "iommu_sva_unbind_device":
                return SvaUnbindDevice(call.n, self._handle(call, call))
            case "iommu_sva_get_pasid":
                return SvaGetPasid(call.n, self._handle(call, call))
            case _:
                return MmPasidDrop(call.n, name_in(call, "mm"))

    def _handle(self, call: Call, named: Call) -> Name:
        """The core's name for the bond that `named` names, in `call`."""
        name = name_in(named, "handle")
        if name == UNBORN:
            return handle_of(call)
        bind = self._bonds.get(name)
        return name if bind is None else handle_of(bind)

    def _question(self, call: Call, back: Call) -> Send:
        """What the core must have asked for this call to be made."""
        n = call.n
        match back.call:
            case "iommu_alloc_global_pasid":
                return Send(IOMMU_CORE, AllocGlobalPasid(n, name_in(back, "dev")))
            case "iommu_free_global_pasid":
                return Send(IOMMU_CORE, FreeGlobalPasid(n, number_in(back, "pasid"), 0))
            case "iommu_attach_handle_get":
                group, kind = name_in(back, "group"), name_in(back, "type")
                get = AttachHandleGet(n, group, number_in(back, "pasid"), kind)
                return Send(IOMMU_CORE, get)
            case "iommu_attach_device_pasid":
                device, domain = name_in(back, "dev"), name_in(back, "domain")
                pasid, handle = number_in(back, "pasid"), self._handle(call, back)
                return Send(IOMMU_CORE, AttachDevicePasid(n, device, pasid, 0, domain, handle))
            case "iommu_detach_device_pasid":
                device, domain = name_in(back, "dev"), name_in(back, "domain")
                pasid = number_in(back, "pasid")
                return Send(IOMMU_CORE, DetachDevicePasid(n, device, pasid, 0, domain))
            case "domain_alloc_sva":
                return Send(IOMMU, DomainAllocSva(n, name_in(back, "dev"), name_in(back, "mm")))
            case _:
                return Send(IOMMU, DomainFree(n, name_in(back, "domain")))

    def _answer(self, call: Call, back: Call) -> tuple[Name, AnyMessage]:
        """What it was answered, and by whom."""
        whom = IOMMU if back.call.startswith("domain_") else IOMMU_CORE
        if is_refusal(back.ret) or back.ret == "INVALID":
            return whom, Refused(call.n, errno_of(back))
        match back.call:
            case "iommu_alloc_global_pasid":
                return whom, AllocGlobalPasidGot(call.n, number_in(back), 0)
            case "iommu_attach_handle_get":
                bind = self._bonds.get(str(back.ret))
                return whom, AttachHandleGot(call.n, handle_of(bind) if bind else str(back.ret))
            case "domain_alloc_sva":
                return whom, DomainAllocSvaGot(call.n, str(back.ret))
            case _:
                return whom, Done(call.n)

    def _spelled(self, answer: AnyMessage) -> Value:
        """An answer as a trace has it."""
        match answer:
            case SvaBindDeviceGot():
                return self._handles.get(answer.handle, answer.handle)
            case SvaGetPasidGot():
                return "INVALID" if answer.pasid == INVALID_PASID else answer.pasid
            case Refused():
                return f"-{answer.errno.value}"
            case _:
                return None


class _Core(Protocol):
    """What every SVA core has."""

    groups: dict[Name, Name]
    limits: dict[Name, int]
    mms: Mapping[Name, Mm]
    bonds: Mapping[Name, Bond]
    holder: int | None
    off: bool


def handle_of(bind: Call) -> Name:
    """What the core calls the bond that this bind makes."""
    return f"bond of call {bind.n}"


def recorded(kind: ActorClass) -> ActorClass:
    """The same core with names that can be foretold: tasks and bonds are called after their calls.

    A handle that has been freed means nothing to it: no kernel is held to what happens then.
    """
    base = cast("type", kind)
    spaces: dict[str, Callable[..., object] | tuple[str, ...]] = {
        "__slots__": (),
        "number_for": lambda _self, request: request.call,
        "handle_for": _handle_for,
        "misused": _nothing,
    }
    return cast("ActorClass", type(base.__name__, (base,), spaces))


def _handle_for(_self: object, bind: Bind) -> Name:
    return f"bond of call {bind.request.call}"


def _nothing(_self: object, _what: str, _request: object, _sender: Name, _out: Out) -> None:
    """Not answered: so it has no place in any order."""
