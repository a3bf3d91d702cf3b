"""The system calls of iommufd as messages of the context.

The context is the specification; the whole system call is the interval of an operation.  Between a
call's entry and its first question, and between any two, it may be overtaken where the actor says
so (`Proceed`): by which way it went, the trace says how often.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, cast

from msgspec import Struct

from actors.iommufd import Iommufd
from actors.iommufd.sites import BIND, HANDLE, LOOK, MAP, MOCK, OBJECT, RECORD
from clusters.cluster import Actor, ActorClass
from clusters.conformance.calls import Call, Value
from clusters.conformance.iommufd_footprints import footprint
from clusters.conformance.iommufd_messages import (
    Names,
    answer_to,
    asked_for,
    request_for,
    spelled,
)
from clusters.conformance.iommufd_recorded import Failing, recorded
from clusters.conformance.iommufd_tree import (
    CLEANING,
    FILES,
    INSIDE,
    IOCTLS,
    QUESTIONS,
    TESTS,
    Tree,
    trees_of,
)
from clusters.conformance.operations import NEVER, Operation, Step
from protocol.effects import Send
from protocol.errors import ExperimentError
from protocol.machine import Machine
from protocol.messages import AnyMessage, Done
from protocol.messages.iommufd import DeliverFault, Proceed
from protocol.names import IOMMU, IOMMU_CORE, KERNEL, Name

MEMORY: Final = tuple(site.name for site in (OBJECT, RECORD, HANDLE, MAP, MOCK))
CONTEXT: Final = "ctx0"


class Turn(Struct, frozen=True):
    """What ends a step: a question that was recorded, an inner call from outside, or a pause."""

    call: Call | None = None
    after: int = -1
    """Whatever follows a pause began after this event."""


class IommufdCalls:
    """The vocabulary, for one trace."""

    calls: Final = (*IOCTLS.values(), *TESTS, *FILES.values())
    callbacks: Final = QUESTIONS

    def __init__(self, calls: Sequence[Call], *, injected: bool = False) -> None:
        """`injected`: look-ups and allocations were made to fail while it was recorded."""
        self._injected = injected
        trees = trees_of(calls)
        self._trees = {tree.call.n: tree for tree in trees}
        self._names = Names(trees)

    def actor(self, kind: ActorClass) -> Actor:
        """An empty context."""
        return recorded(kind, self._names.domains).of(Machine((), (), ()), CONTEXT)

    def missing(self, _kind: ActorClass, _calls: Iterable[Call]) -> Counter[str]:
        """Every context has them all."""
        return Counter()

    def gaps(self, calls: Iterable[Call]) -> str:
        """One context, one fault queue: otherwise a trace does not say which is meant."""
        if len(self._names.contexts) > 1:
            return f"{len(self._names.contexts)} contexts: the model has one"
        queues = sum(call.call == "FAULT_QUEUE_ALLOC" and call.ret != "" for call in calls)
        if queues > 1 and any(call.call in FILES.values() for call in calls):
            return f"{queues} fault queues: the trace does not say which one is read"
        return ""

    def without(self, actor: Actor, needed: int) -> Actor:
        """Nothing is forgotten."""
        return actor

    def loosened(self, operation: Operation) -> Operation | None:
        """What it would have asked is not known."""
        return None

    def state(self, actor: Actor, operations: Iterable[Operation]) -> list[str]:
        """The objects, and what is attached."""
        context = cast("Iommufd", actor)
        objects = [
            f"{at} {found.__class__.__name__} ({found.users} users)"
            for at, found in sorted(context.objects.items())
        ]
        attached = [
            f"{group} {pasid}: {record.hwpt}"
            for group, records in sorted(context.attached.items())
            for pasid, record in sorted(records.items())
        ]
        return [f"objects {', '.join(objects)}", f"attached {', '.join(attached)}"]

    # --- Steps ------------------------------------------------------------------------------------

    def operation(self, at: int, call: Call, callbacks: tuple[Call, ...]) -> Operation:
        """The request, then an answer for each question and a turn for each pause."""
        tree = self._trees[call.n]
        turns = turns_of(call, tree)
        fails, touched = self._failing(call, turns), footprint(call, tree)
        steps: list[Step] = []
        after = call.seq_invoke
        sender, message = KERNEL, request_for(call, tree, self._names)
        for number in range(len(turns) + 1):
            turn = turns[number] if number < len(turns) else None
            before = _bound(turns[number:], call)
            asks, reads_as = None, None
            if turn is None:
                reads_as = partial(spelled, call) if call.seq_return is not None else None
            elif turn.call is None:
                asks = Send(CONTEXT, Proceed(call.n))
            elif turn.call.call == "iommufd_fault_iopf_handler":
                asks = Send(IOMMU_CORE, Done(turn.call.n))
            else:
                asks = asked_for(call, turn.call, tree, self._names)
            sites = fails.get(number)
            given = message if not sites else cast("AnyMessage", Failing(message, sites))
            step = Step(
                operation=at,
                sender=sender,
                message=given,
                after=after,
                before=before,
                footprint=touched,
                asks=asks,
                reads_as=reads_as,
                ret=call.ret,
            )
            steps.append(step)
            if turn is None:
                break
            sender, message, after = self._next(turns, number, (call, tree, after))
        return Operation(call, callbacks, tuple(steps))

    def _next(
        self, turns: Sequence[Turn], number: int, place: tuple[Call, Tree, int]
    ) -> tuple[Name, AnyMessage, int]:
        """Who says what next, and after which event."""
        call, tree, after = place
        turn = turns[number]
        if turn.call is None:
            return CONTEXT, Proceed(call.n), max(after, turn.after)
        back = turn.call
        upcoming = turns[number + 1].call if number + 1 < len(turns) else None
        if upcoming is not None and upcoming.call == "iommufd_fault_iopf_handler":
            return IOMMU_CORE, self._delivered(tree, upcoming), upcoming.seq_invoke
        if back.call == "iommufd_fault_iopf_handler":
            report = tree.find("iommu_report_device_fault")
            assert report is not None, "a fault is delivered because it was reported"
            back = report.call
        ended = back.seq_return
        if ended is None:
            return IOMMU, Done(call.n), NEVER
        return (
            IOMMU if back.call.startswith("domain_") else IOMMU_CORE,
            answer_to(call, back, self._names),
            ended,
        )

    def _delivered(self, tree: Tree, handler: Call) -> AnyMessage:
        report = tree.find("iommu_report_device_fault")
        assert report is not None, "a fault is delivered because it was reported"
        gets = [one.call for one in report.all() if one.call.call == "iommu_attach_handle_get"]
        device, args = str(report.call.args["dev"]), report.call.args
        pasid, number = cast("int", args["pasid"]), cast("int", args["grpid"])
        handle = self._names.handle(gets[-1].ret)
        return DeliverFault(handler.n, handle, device, pasid, number)

    def _failing(self, call: Call, turns: Sequence[Turn]) -> dict[int, tuple[str, ...]]:
        """By number of the step, the sites that failed in it: in the last one before cleaning."""
        if not self._injected or not isinstance(call.ret, str) or call.ret[:1] != "-":
            return {}
        asked = [turn.call for turn in turns]
        if call.ret == "-ENOMEM" and any(one is not None and one.ret == call.ret for one in asked):
            return {}
        cleaning = [at for at, one in enumerate(asked) if one is not None and one.call in CLEANING]
        step = cleaning[0] if cleaning else len(turns)
        if call.ret == "-ENOMEM":
            return {step: MEMORY}
        if call.ret == "-ENOENT" or (call.call == "HWPT_ALLOC" and call.ret == "-EINVAL"):
            return {step: (LOOK.name,)}
        if call.call == "MOCK_DOMAIN_FLAGS" and call.ret == "-EINVAL" and not cleaning:
            return {step: (BIND.name,)}
        return {}


def _bound(turns: Sequence[Turn], call: Call) -> int:
    """The first event that was recorded after a step; a handler's answer comes before its return."""
    for turn in turns:
        if turn.call is None:
            continue
        if turn.call.call == "iommufd_fault_iopf_handler":
            return NEVER if turn.call.seq_return is None else turn.call.seq_return
        return turn.call.seq_invoke
    return NEVER if call.seq_return is None else call.seq_return


def turns_of(call: Call, tree: Tree) -> list[Turn]:
    """By which way a call went: its pauses, and its questions."""
    return _Walk(call, tree).turns


class _Walk:
    """The calls inside, in order."""

    def __init__(self, call: Call, tree: Tree) -> None:
        self.turns: list[Turn] = []
        self._call = call
        name = call.call
        if name in ("IOAS_ALLOC", "FAULT_QUEUE_ALLOC") and not _refused(call.ret):
            self.pause()
        elif name == "HWPT_ALLOC" and call.ret != "-ENOENT":
            self.pause()
        elif name == "HWPT_ALLOC" and tree.find(*QUESTIONS):
            self.pause()
        elif name == "MOCK_DOMAIN_FLAGS" and (tree.find("iommufd_object_abort") or tree.find("iommufd_device_bind")):
            self.pause()
        elif name in TESTS and tree.find(
            "iommufd_device_attach", "iommufd_device_replace", "iommufd_device_detach"
        ):
            self.pause()
        self.walk(tree)

    def pause(self, after: int = -1) -> None:
        self.turns.append(Turn(after=after))

    def walk(self, tree: Tree) -> None:
        for one in tree.inside:
            name = one.call.call
            if name == "iommu_report_device_fault":
                self.turns.append(Turn(one.call))
                handler = one.find("iommufd_fault_iopf_handler")
                if handler is not None:
                    self.turns.append(Turn(handler.call))
            elif name in QUESTIONS:
                self.turns.append(Turn(one.call))
            elif name in INSIDE or name in IOCTLS or name == "iommufd_test":
                self.enter(one, tree)

    def enter(self, one: Tree, parent: Tree) -> None:
        """A look-up that succeeds is followed by a pause, and so is an id that goes."""
        name, ret = one.call.call, one.call.ret
        changing = name in ("iommufd_device_attach", "iommufd_device_replace")
        if changing and not (ret == "-ENOENT" and not one.inside):
            self.pause()
        removed = name == "iommufd_object_remove" and parent.call.call != "iommufd_device_unbind"
        if removed and parent.call.call != "iommufd_destroy":
            self.pause(after=one.call.seq_invoke)
        if removed and ret == 0:
            self.pause()
        self.walk(one)


def _refused(ret: Value) -> bool:
    return isinstance(ret, str) and ret.startswith("-")


def check_calls(calls: Iterable[Call]) -> None:
    """A trace of another interface is not ours."""
    if not any(call.call in IOCTLS or call.call == "iommufd_test" for call in calls):
        raise ExperimentError("there is no call of iommufd in it")
