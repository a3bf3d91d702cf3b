"""Calls that ask outwards, one question after the other, as chains of steps.

What was recorded inside a call are the questions that its actor asks, and their results are the
answers it gets.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from clusters.conformance.calls import Call, Value
from clusters.conformance.operations import NEVER, Expected, Footprint, Step
from protocol.effects import Send
from protocol.errors import Errno, ExperimentError
from protocol.messages import AnyMessage
from protocol.names import KERNEL, Name

NAME: Final[tuple[type, ...]] = (str,)
NAME_OR_NULL: Final[tuple[type, ...]] = (str, type(None))
NUMBER: Final[tuple[type, ...]] = (int,)


class Asking(Struct, frozen=True):
    """A call's request, what it asks, what is answered by whom, how its own answer is spelled."""

    request: AnyMessage
    questions: tuple[Send, ...]
    answers: tuple[tuple[Name, AnyMessage], ...]
    reads_as: Expected


def steps_of(
    at: int,
    call: Call,
    callbacks: Sequence[Call],
    asking: Asking,
    marks: Sequence[Footprint],
) -> tuple[Step, ...]:
    """One step more than callbacks, or as many as have had their answers."""
    steps: list[Step] = []
    sent: tuple[Name, AnyMessage] = (KERNEL, asking.request)
    after = call.seq_invoke
    for number in range(len(callbacks) + 1):
        asks = asking.questions[number] if number < len(callbacks) else None
        before = call.seq_return if asks is None else callbacks[number].seq_invoke
        last = asks is None and call.seq_return is not None
        steps.append(
            Step(
                operation=at,
                sender=sent[0],
                message=sent[1],
                after=after,
                before=NEVER if before is None else before,
                footprint=marks[number],
                asks=asks,
                reads_as=asking.reads_as if last else None,
                ret=call.ret,
                late=asks is not None,
            )
        )
        if asks is None:
            break
        returned = callbacks[number].seq_return
        if returned is None:
            break
        sent, after = asking.answers[number], returned
    return tuple(steps)


def ended(callbacks: Sequence[Call]) -> list[Call]:
    """Those that have been answered: all but the last, if the recording ended in it."""
    return [back for back in callbacks if back.seq_return is not None]


# --- Values ---------------------------------------------------------------------------------------


def name_in(call: Call, arg: str) -> Name:
    """An argument that was found to be a name."""
    value = call.args[arg]
    assert isinstance(value, str), "checked before"
    return value


def number_in(call: Call, arg: str = "") -> int:
    """An argument, or else the result, that is a number."""
    value = call.args[arg] if arg else call.ret
    if value.__class__ is not int:
        raise ExperimentError(f"call {call.n} ({call.call}): {value} is not a number")
    assert isinstance(value, int), "it is one"
    return value


def is_refusal(value: Value) -> bool:
    """`-ENOENT` is."""
    return isinstance(value, str) and value.startswith("-")


def errno_of(call: Call) -> Errno:
    """What it was refused with; no PASID is no room."""
    word = str(call.ret).removeprefix("-")
    if word == "INVALID":
        return Errno.ENOSPC
    if word not in Errno.__members__:
        raise ExperimentError(f"call {call.n} ({call.call}): the model has no errno {word}")
    return Errno[word]
