"""The system calls of iommufd as messages of the context.

The context is the specification; the whole system call is the interval of an operation.  Between a
call's entry and its first question, and between any two, it may be overtaken where the actor says
so (`Proceed`): by which way it went, the trace says how often.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, cast

from actors.iommufd import Iommufd
from actors.iommufd.sites import BIND, HANDLE, LOOK, MAP, MOCK, OBJECT, RECORD
from clusters.cluster import Actor, ActorClass
from clusters.conformance.calls import Call
from clusters.conformance.iommufd_completing import completed
from clusters.conformance.iommufd_footprints import footprint
from clusters.conformance.iommufd_messages import (
    answer_to,
    asked_for,
    request_for,
    spelled,
)
from clusters.conformance.iommufd_names import Names
from clusters.conformance.iommufd_recorded import Failing, recorded
from clusters.conformance.iommufd_tree import (
    CLEANING,
    FILES,
    IOCTLS,
    QUESTIONS,
    TESTS,
    UNRECORDED,
    Tree,
    flattened,
    trees_of,
)
from clusters.conformance.iommufd_turns import HANDLER, Turn, bound, turns_of
from clusters.conformance.machine import TraceMachine
from clusters.conformance.operations import EVERYTHING, NEVER, Operation, Step
from protocol.effects import Send
from protocol.errors import ExperimentError
from protocol.machine import Machine
from protocol.messages import AnyMessage, Done
from protocol.messages.iommufd import DeliverFault, Proceed
from protocol.names import IOMMU, IOMMU_CORE, IOPF, KERNEL, Name

MEMORY: Final = tuple(site.name for site in (OBJECT, RECORD, HANDLE, MAP, MOCK))
CONTEXT: Final = "ctx0"


class Whatever:
    """Equal to all that an actor sends: how a call goes on that did not return is not known."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True


WHATEVER: Final = Whatever()


class IommufdCalls:
    """The vocabulary, for one trace."""

    calls: Final = (*IOCTLS.values(), *TESTS, *FILES.values())
    callbacks: Final = QUESTIONS

    def __init__(self, machine: TraceMachine, calls: Sequence[Call]) -> None:
        self._look_ups_fail = machine.look_ups_fail
        recorded_trees = trees_of(calls)
        trees = completed(recorded_trees)
        self._whole = trees == recorded_trees
        self._trees = {tree.call.n: tree for tree in trees}
        self._names = Names(trees)

    def actor(self, kind: ActorClass) -> Actor:
        """An empty context."""
        return recorded(kind, self._names.domains).of(Machine((), (), ()), CONTEXT)

    def own(self, _calls: Sequence[Call]) -> list[Call]:
        """One operation for each system call, with what iommufd asks outwards."""
        return flattened(self._trees.values())

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

    def loosened(self, operation: Operation, last: Operation) -> Operation | None:
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
        try:
            return self._operation(at, call, callbacks)
        except KeyError as missing:
            raise ExperimentError(
                f"call {call.n} ({call.call}): it, or a call inside, has no argument {missing}"
            ) from None

    def _operation(self, at: int, call: Call, callbacks: tuple[Call, ...]) -> Operation:
        tree = self._trees[call.n]
        turns = turns_of(call, tree)
        fails = self._failing(call, turns)
        # Without all ids in the trace, nobody knows which of them a call touched.
        touched = footprint(call, tree, self._names.queue) if self._whole else EVERYTHING
        steps: list[Step] = []
        after = call.seq_invoke
        sender, message = KERNEL, request_for(call, tree, self._names)
        for number in range(len(turns) + 1):
            turn = turns[number] if number < len(turns) else None
            before = bound(turns[number:], call)
            asks, reads_as = None, None
            if turn is None and call.seq_return is None:
                asks = cast("Send", WHATEVER)
            elif turn is None:
                reads_as = partial(spelled, call)
            elif turn.call is None:
                asks = Send(CONTEXT, Proceed(call.n))
            elif turn.call.call == HANDLER:
                asks = Send(IOPF, Done(turn.call.n))
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
        if upcoming is not None and upcoming.call == HANDLER:
            return IOPF, self._delivered(tree, upcoming), upcoming.seq_invoke
        if back.kind == UNRECORDED:
            return IOMMU, answer_to(call, back, self._names), after
        if back.call == HANDLER:
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
        handle = self._names.handle(gets[-1].ret, gets[-1]) if gets else "of nobody"
        return DeliverFault(handler.n, handle, device, pasid, number)

    def _failing(self, call: Call, turns: Sequence[Turn]) -> dict[int, tuple[str, ...]]:
        """By number of the step, the sites that failed in it: in the last one before cleaning."""
        if not isinstance(call.ret, str) or call.ret[:1] != "-":
            return {}
        asked = [turn.call for turn in turns]
        if call.ret == "-ENOMEM" and any(one is not None and one.ret == call.ret for one in asked):
            return {}
        cleaning = [at for at, one in enumerate(asked) if one is not None and one.call in CLEANING]
        step = cleaning[0] if cleaning else len(turns)
        if call.ret == "-ENOMEM":
            return {step: MEMORY}
        lost = call.ret == "-ENOENT" or (call.call == "HWPT_ALLOC" and call.ret == "-EINVAL")
        if lost and self._look_ups_fail:
            return {step: (LOOK.name,)}
        if call.call == "MOCK_DOMAIN_FLAGS" and call.ret == "-EINVAL" and not cleaning:
            return {step: (BIND.name,)}
        return {}


def is_iommufd(calls: Iterable[Call]) -> bool:
    """Whether a trace is about us."""
    return any(call.call.startswith("iommufd_") for call in calls)
