"""Reads the steps of a process of the host, which has a file per device and no PASID by name (§7).

[async] OPERATION [DEVICE | PROCESS] [xCOUNT] [-> OUTCOME | -> any(OUTCOME, ...)]
"""

import re
from typing import Final

from experiments.harness.script import COUNT_MAX, outcomes
from protocol.errors import ExperimentError, nearest
from protocol.machine import Machine
from protocol.names import Name
from protocol.plan import PROCESS_OPERATIONS, Step

NEEDS_DEVICE: Final = ("open", "bind", "dma", "fault", "unbind", "close")
NEEDS_PROCESS: Final = ("fork", "kill")
MAY_COUNT: Final = ("dma", "fault")


def read_process_step(text: str, process: Name, machine: Machine, where: str) -> Step:
    """The step that `text` says; `where` is its place in the file, for the refusal."""
    body, arrow, outcome = text.partition("->")
    words = body.split()
    wait = words[:1] != ["async"]
    if not wait:
        words = words[1:]
    if not words:
        raise ExperimentError(f"{where}: '{text}' names no operation")
    operation, *rest = words
    if operation not in PROCESS_OPERATIONS:
        raise ExperimentError(
            f"{where}: '{operation}' is not an operation of a process"
            f"{nearest(operation, PROCESS_OPERATIONS)}"
            f" (operations: {', '.join(PROCESS_OPERATIONS)})"
        )
    count = 1
    if rest and re.fullmatch(r"x[0-9]+", rest[-1]):
        count = int(rest.pop()[1:])
        if operation not in MAY_COUNT:
            raise ExperimentError(f"{where}: {operation} takes no count")
        if not 1 <= count <= COUNT_MAX:
            raise ExperimentError(f"{where}: a count is 1 to {COUNT_MAX}, not {count}")
    device = other = ""
    if operation in NEEDS_DEVICE:
        device = one_of([one.name for one in machine.devices], "device", rest, where)
    elif operation in NEEDS_PROCESS:
        others = [one for one in machine.processes if one != process]
        other = one_of(others, "process", rest, where)
    if rest:
        raise ExperimentError(f"{where}: '{' '.join(rest)}' is too much for {operation}")
    return Step(
        operation=operation,
        owner=other,
        device=device,
        count=count,
        expect=outcomes(outcome, where) if arrow else (),
        wait=wait,
        text=text.strip(),
    )


def one_of(there: list[Name], what: str, words: list[str], where: str) -> Name:
    """The operand, taken from the words."""
    plural = f"{what}es" if what.endswith("s") else f"{what}s" if " " not in what else "there are"
    if not words:
        raise ExperimentError(f"{where}: names no {what} ({plural}: {', '.join(there) or 'none'})")
    word = words.pop(0)
    if word not in there:
        raise ExperimentError(
            f"{where}: '{word}' is not a {what}{nearest(word, there)}"
            f" ({plural}: {', '.join(there) or 'none'})"
        )
    return word
