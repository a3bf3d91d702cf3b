"""Which function is which step, and how each kind of task begins, turns back and ends.

Kernel: none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from actors.vmm import binding, closing, freeing, opening, telling, unbinding
from actors.vmm.state import Answer, Do, Task, What
from protocol.effects import Out

if TYPE_CHECKING:
    from actors.vmm import Vmm

Step: TypeAlias = Callable[["Vmm", Task, Do, Out], bool]
"""Whether the step is over at once; else it is when it is answered."""

STEPS: Final[dict[What, Step]] = {
    **opening.STEPS,
    **binding.STEPS,
    **unbinding.STEPS,
    **freeing.STEPS,
    **telling.STEPS,
    **closing.STEPS,
}
BEGIN: Final[dict[str, Callable[[Vmm, Task, Out], None]]] = {
    "open": opening.begin,
    "alloc": freeing.begin_alloc,
    "free": freeing.begin_free,
    "bind": binding.begin,
    "unbind": unbinding.begin,
    "release": closing.begin,
}
UNDO: Final[dict[str, Callable[[Vmm, Task, Out], list[Do]]]] = {
    "open": opening.undo,
    "alloc": freeing.undo,
    "bind": binding.undo,
}
END: Final[dict[str, Callable[[Vmm, Task, Out], None]]] = {
    "alloc": freeing.end_alloc,
    "bind": binding.end,
    "release": closing.end,
}
NOTES: Final[dict[What, Callable[[Vmm, Task, Answer, Out], None]]] = {
    **opening.NOTES,
    **binding.NOTES,
    **unbinding.NOTES,
    **freeing.NOTES,
}


def begin(vmm: Vmm, task: Task, out: Out) -> None:
    """Find out what is to be done."""
    BEGIN[task.name](vmm, task, out)


def step(vmm: Vmm, task: Task, do: Do, out: Out) -> bool:
    """Whether it is over at once."""
    return STEPS[do.what](vmm, task, do, out)


def note(vmm: Vmm, task: Task, answer: Answer, out: Out) -> None:
    """What a step has got, if there is anything to note of it."""
    assert task.doing is not None, "it waits for an answer"
    if task.doing.what in NOTES:
        NOTES[task.doing.what](vmm, task, answer, out)


def can_undo(_vmm: Vmm, task: Task) -> bool:
    """Whether it is one that can be refused."""
    return task.name in UNDO


def undo(vmm: Vmm, task: Task, out: Out) -> list[Do]:
    """The way back from the step that was refused."""
    return UNDO[task.name](vmm, task, out)


def end(vmm: Vmm, task: Task, out: Out) -> None:
    """What is said of it before its answer."""
    if task.name in END:
        END[task.name](vmm, task, out)
