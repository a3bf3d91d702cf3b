"""By which way a recorded iommufd call went: its questions, and where it could be overtaken."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from clusters.conformance.calls import Call, Value
from clusters.conformance.iommufd_tree import INSIDE, IOCTLS, QUESTIONS, TESTS, UNRECORDED, Tree
from clusters.conformance.operations import NEVER

HANDLER: Final = "iommufd_fault_iopf_handler"
CHANGES: Final = ("iommufd_device_attach", "iommufd_device_replace")


class Turn(Struct, frozen=True):
    """What ends a step: a question, the handler's answer to the core, or a pause (no call).

    Whatever follows a pause began after event `after`.
    """

    call: Call | None = None
    after: int = -1


def bound(turns: Sequence[Turn], call: Call) -> int:
    """The first event that was recorded after a step; a handler's answer lies before its return."""
    for turn in turns:
        if turn.call is None or turn.call.kind == UNRECORDED:
            continue
        if turn.call.call == HANDLER:
            return NEVER if turn.call.seq_return is None else turn.call.seq_return
        return turn.call.seq_invoke
    return NEVER if call.seq_return is None else call.seq_return


def turns_of(call: Call, tree: Tree) -> list[Turn]:
    """In order."""
    turns: list[Turn] = []
    if begins_with_pause(call, tree):
        turns.append(Turn())
    _walk(tree, turns)
    return turns


def begins_with_pause(call: Call, tree: Tree) -> bool:
    """Whether what it looks up first was there, and whether it got its id."""
    name = call.call
    if name in ("IOAS_ALLOC", "FAULT_QUEUE_ALLOC"):
        return not refused(call.ret)
    if name == "HWPT_ALLOC":
        return call.ret not in ("-ENOENT", "-EOPNOTSUPP") or tree.find(*QUESTIONS) is not None
    if name in ("MOCK_DOMAIN_FLAGS", "MOCK_DOMAIN"):
        return tree.find("iommufd_object_abort", "iommufd_device_bind") is not None
    return name in TESTS and tree.find(*CHANGES, "iommufd_device_detach") is not None


def refused(ret: Value) -> bool:
    """An errno."""
    return isinstance(ret, str) and ret.startswith("-")


def _walk(tree: Tree, turns: list[Turn]) -> None:
    for one in tree.inside:
        name = one.call.call
        if name in QUESTIONS:
            turns.append(Turn(one.call))
            handler = one.find(HANDLER)
            if handler is not None:
                turns.append(Turn(handler.call))
        elif name in INSIDE or name in IOCTLS or name == "iommufd_test":
            _enter(one, tree, turns)


def _enter(one: Tree, parent: Tree, turns: list[Turn]) -> None:
    """A look-up that succeeds is followed by a pause; so is an id that goes."""
    name, ret = one.call.call, one.call.ret
    if name in CHANGES and not (ret == "-ENOENT" and not one.inside):
        turns.append(Turn())
    removed = name == "iommufd_object_remove" and parent.call.call != "iommufd_device_unbind"
    if removed and parent.call.call != "iommufd_destroy":
        turns.append(Turn(after=one.call.seq_invoke))
    if removed and ret == 0:
        turns.append(Turn())
    _walk(one, turns)
