"""Reads the steps of a process of a modern kernel, which has threads and files (§8).

[async] [THREAD] OPERATION [DEVICE | PROCESS] [xCOUNT] [-> OUTCOME | -> any(OUTCOME, ...)]

A thread is `t2`, `t3` and so on, in the order of `clone`; without one it is the first.
"""

import re
from typing import Final

from experiments.harness.process_script import one_of
from experiments.harness.script import COUNT_MAX, outcomes
from protocol.errors import ExperimentError, nearest
from protocol.machine import Machine
from protocol.names import Name
from protocol.plan import SVA_OPERATIONS, Step

OF_FILES: Final = (
    "open", "map", "remap", "poll", "start", "put", "write", "close", "dma", "fault", "stray",
)  # fmt: skip
OF_PROCESSES: Final = ("fork", "kill")
MAY_COUNT: Final = ("dma", "fault", "stray", "write", "unmap")
THREAD: Final = re.compile(r"t([0-9]{1,3})")


def read_sva_step(text: str, process: Name, machine: Machine, where: str) -> Step:
    """The step that `text` says; `where` is its place in the file, for the refusal."""
    body, arrow, outcome = text.partition("->")
    words = body.split()
    wait = words[:1] != ["async"]
    if not wait:
        words = words[1:]
    thread = THREAD.fullmatch(words[0]) if words else None
    if thread is not None:
        words = words[1:]
        if thread[1] in ("0", "1"):
            raise ExperimentError(f"{where}: threads are t2, t3 and so on; the first has no name")
    if not words:
        raise ExperimentError(f"{where}: '{text}' names no operation")
    operation, *rest = words
    if operation not in SVA_OPERATIONS:
        raise ExperimentError(
            f"{where}: '{operation}' is not an operation of a process"
            f"{nearest(operation, SVA_OPERATIONS)} (operations: {', '.join(SVA_OPERATIONS)})"
        )
    count = _count(operation, rest, where)
    device = other = ""
    if operation in OF_FILES:
        there = [one.name for one in machine.devices if one.driver in ("uacce", "idxd")]
        device = one_of(there, "device with driver 'uacce' or 'idxd'", rest, where)
    elif operation in OF_PROCESSES:
        others = [one for one in machine.processes if one != process]
        other = one_of(others, "process", rest, where)
    if rest:
        raise ExperimentError(f"{where}: '{' '.join(rest)}' is too much for {operation}")
    return Step(
        operation=operation,
        owner=other,
        number=int(thread[1]) if thread is not None else 0,
        device=device,
        count=count,
        expect=outcomes(outcome, where) if arrow else (),
        wait=wait,
        text=text.strip(),
    )


def _count(operation: str, rest: list[str], where: str) -> int:
    """How often, taken from the words."""
    if not rest or not re.fullmatch(r"x[0-9]+", rest[-1]):
        return 1
    count = int(rest.pop()[1:])
    if operation not in MAY_COUNT:
        raise ExperimentError(f"{where}: {operation} takes no count")
    if not 1 <= count <= COUNT_MAX:
        raise ExperimentError(f"{where}: a count is 1 to {COUNT_MAX}, not {count}")
    return count


def check_threads(scripts: dict[Name, tuple[Step, ...]], places: dict[Name, str]) -> None:
    """A thread has begun before it does anything; it may have ended since (exit, exec: ENOENT)."""
    for name, steps in scripts.items():
        born = 1
        for i, step in enumerate(steps):
            if step.number > born:
                there = ", ".join(f"t{k}" for k in range(2, born + 1)) or "none"
                raise ExperimentError(
                    f"{places[name]}.steps[{i}]: 't{step.number}' is not cloned before"
                    f" (clones so far: {there})"
                )
            born += step.operation == "clone"
