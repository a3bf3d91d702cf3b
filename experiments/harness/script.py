"""Reads the steps of a script: text of an experiment file to `protocol.plan.Step` (§7).

    [async] [VARIABLE =] OPERATION [PASID] [DEVICE] [xCOUNT] [-> OUTCOME | -> any(OUTCOME, ...)]

PASID is a variable (`p`), another process's (`vm2.guest.q`), or a literal host PASID (`#17`).
COUNT is of descriptors; of alloc, bind, unbind and free of variables: `p = alloc x3` sets p1 to p3.
"""

import re
from typing import Final

from protocol.errors import Errno, ExperimentError, nearest
from protocol.machine import Machine
from protocol.names import PASID_COUNT, Name, vm_of
from protocol.plan import MANY, OPERATIONS, Step

NEEDS_PASID: Final = ("bind", "unbind", "free", "dma", "fault", "portal", "ims")
"""Operations that name a PASID."""
MAY_NAME_PASID: Final = (*NEEDS_PASID, "enable")
NEEDS_DEVICE: Final = (
    "bind", "unbind", "dma", "fault", "portal", "enable", "disable", "drain", "reset",
    "ims", "unims",
)  # fmt: skip
OUTCOMES: Final = ("ok", "fault", "abort", "exit72", *(errno.value for errno in Errno))
COUNT_MAX: Final = 1_000
"""Descriptors of one step."""
MANY_MAX: Final = 1 << 14
"""Variables of one step."""

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")
_FOREIGN: Final = re.compile(r"([A-Za-z0-9_]+\.[A-Za-z0-9_]+)\.([A-Za-z_][A-Za-z0-9_]{0,31})")


def read_step(text: str, process: Name, machine: Machine, where: str) -> Step:
    """The step that `text` says; `where` is its place in the file, for the refusal."""
    body, arrow, outcome = text.partition("->")
    words = body.replace("=", " = ").split()
    wait = True
    if words and words[0] == "async":
        wait, words = False, words[1:]
    variable = ""
    if words[1:2] == ["="]:
        variable, words = words[0], words[2:]
        if not _VARIABLE.fullmatch(variable):
            raise ExperimentError(f"{where}: '{variable}' is not a variable name")
    if not words:
        raise ExperimentError(f"{where}: '{text}' names no operation")
    operation, rest = words[0], words[1:]
    if operation not in OPERATIONS:
        hint = nearest(operation, OPERATIONS)
        raise ExperimentError(
            f"{where}: '{operation}' is not an operation{hint}"
            f" (operations: {', '.join(OPERATIONS)})"
        )
    if bool(variable) != (operation == "alloc"):
        rule = "alloc sets a variable: 'p = alloc'" if operation == "alloc" else (
            f"only alloc sets a variable, {operation} does not"
        )  # fmt: skip
        raise ExperimentError(f"{where}: {rule}")
    step = {"operation": operation, "variable": variable, "wait": wait, "text": text.strip()}
    expect = outcomes(outcome, where) if arrow else ()
    return _operands(step, rest, expect, _Place(process, machine, where))


class _Place:
    """Whose step it is and where it stands."""

    def __init__(self, process: Name, machine: Machine, where: str) -> None:
        self.vm = machine.vm(vm_of(process))
        self.where = where


def _operands(
    step: dict[str, object], words: list[str], expect: tuple[str, ...], place: _Place
) -> Step:
    operation = str(step["operation"])
    words = list(words)
    count = 1
    if words and re.fullmatch(r"x[0-9]+", words[-1]):
        count = int(words.pop()[1:])
        if operation not in ("dma", "fault", "portal", *MANY):
            raise ExperimentError(f"{place.where}: {operation} takes no count")
        most = MANY_MAX if operation in MANY else COUNT_MAX
        if not 1 <= count <= most:
            raise ExperimentError(f"{place.where}: a count is 1 to {most}, not {count}")
    device = ""
    if operation in NEEDS_DEVICE:
        if not words:
            raise ExperimentError(f"{place.where}: {operation} needs a device")
        device = words.pop()
        if device not in place.vm.devices:
            hint = nearest(device, place.vm.devices)
            raise ExperimentError(
                f"{place.where}: '{device}' is not a device of {place.vm.name}{hint}"
                f" (devices: {', '.join(place.vm.devices)})"
            )
    owner, number = "", 0
    variable = str(step["variable"])
    if words and operation in MAY_NAME_PASID:
        owner, variable, number = _pasid(words.pop(0), place.where)
    elif operation in NEEDS_PASID:
        raise ExperimentError(f"{place.where}: {operation} needs a PASID: a variable or #number")
    if count > 1 and operation in MANY and (owner or number):
        raise ExperimentError(f"{place.where}: many are variables of the guest's own")
    if words:
        raise ExperimentError(f"{place.where}: '{' '.join(words)}' is too much for {operation}")
    return Step(
        operation=operation,
        variable=variable,
        owner=owner,
        number=number,
        device=device,
        count=count,
        expect=expect,
        wait=bool(step["wait"]),
        text=str(step["text"]),
    )


def _pasid(word: str, where: str) -> tuple[Name, str, int]:
    """(owner, variable, literal) of a PASID operand."""
    if word.startswith("#"):
        if not word[1:].isdigit() or not 0 <= int(word[1:]) < PASID_COUNT:
            raise ExperimentError(f"{where}: '{word}' is not a PASID; #0 to #{PASID_COUNT - 1}")
        return "", "", int(word[1:])
    if foreign := _FOREIGN.fullmatch(word):
        return foreign[1], foreign[2], 0
    if _VARIABLE.fullmatch(word):
        return "", word, 0
    raise ExperimentError(f"{where}: '{word}' is not a variable or #number")


def outcomes(text: str, where: str) -> tuple[str, ...]:
    """What stands behind the arrow."""
    text = text.strip()
    inner = re.fullmatch(r"any\((.*)\)", text)
    names = [name.strip() for name in (inner[1] if inner else text).split(",")]
    for name in names:
        if name not in OUTCOMES:
            hint = nearest(name, OUTCOMES)
            raise ExperimentError(f"{where}: '{name}' is not an outcome (ok or an errno){hint}")
    return tuple(names)
