"""What a caller's step says as arguments, held against the call and the machine (§8).

Devices, groups, domains, and whom a call goes to must be there.  Any other name may be said: an mm
is there when it is named (`mm=m1`), and a handle, an owner, a fault queue or a file descriptor that
is none is a misuse that the kernel has an answer for.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Final, get_args

import msgspec

from actors.caller.arguments import SEVERAL, VARIABLE, argument
from experiments.harness.tables import DomainKind
from protocol.calls import AT, OWN_CONTEXT, SAID, Operation
from protocol.domains import ANY_KIND, BLOCKING, DEFAULT, NULL, made_domain
from protocol.errors import ExperimentError, nearest
from protocol.machine import VFIO_DRIVERS
from protocol.names import VFIO, Name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocol.machine import Machine

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")
"""A variable."""
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,19}")
_DOMAINS: Final = ("domain", "parent", "old")
_PASID: Final = "pasid"
_U32: Final = 1 << 32
_U64: Final = 1 << 64
_KINDS: Final[tuple[str, ...]] = get_args(DomainKind)


def check_arguments(
    operation: Operation, given: dict[str, str], machine: Machine, where: str
) -> None:
    """Each is of its type, and the things that they name are there."""
    types = {one.name: one.type for one in msgspec.structs.fields(operation.message)}
    for name, text in given.items():
        if name != AT:
            _check_type(name, types[name], text, where)
            if types[name] is str and not text.startswith(VARIABLE):
                _check_name(name, text, machine, f"{where}: {name}")
    _check_whom(operation, given.get(AT), machine, where)


def _check_type(name: str, kind: object, text: str, where: str) -> None:
    """A variable may be a number or a name; what it has is seen when it is used."""
    if text.startswith(VARIABLE) and kind in (int, str):
        if not NAME.fullmatch(text.removeprefix(VARIABLE)):
            raise ExperimentError(f"{where}: {name}: '{text}' is not a variable: $name")
        return
    several = [one for one in text.split(SEVERAL) if one]
    numbers = [text] if kind is int else several if int in get_args(kind) else []
    fits = all(_NUMBER.fullmatch(one) and int(one) < _most(name) for one in numbers)
    try:
        msgspec.convert(argument(name, kind, text, {}), kind, strict=False)
    except msgspec.ValidationError:
        fits = False
    if not fits:
        raise ExperimentError(f"{where}: {name} wants {_wanted(name, kind)}, not '{text}'")


def _most(name: str) -> int:
    """A PASID is an ioasid_t or a u32, unsigned; nothing else is wider than 64 bits."""
    return _U32 if name == _PASID else _U64


def _wanted(name: str, kind: object) -> str:
    """What is right, in words."""
    if kind is int:
        return f"a number from 0 to {_most(name) - 1}, or a $variable"
    if kind is bool:
        return "true or false"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(repr(one.value) for one in kind)
    return "numbers, joined by +" if int in get_args(kind) else "words, joined by +"


def _check_name(name: str, text: str, machine: Machine, where: str) -> None:
    """Of the machine, or made by its actors, who say in the name what it is."""
    devices = [one.name for one in machine.devices]
    if name == "device":
        _one_of(text, devices, "device", where)
    elif name == "group":
        alone = [one for one in devices if machine.group_of(one) == one]
        _one_of(text, [*(one.name for one in machine.groups), *alone], "group", where)
    elif name == "kind" and text != ANY_KIND:
        _one_of(text, _KINDS, "kind", where)
    elif name in _DOMAINS and text != NULL:
        _check_domain(text, machine, where)


def _check_domain(text: str, machine: Machine, where: str) -> None:
    """`SVA@dmar0.proc1.1` is one that a driver will make, or has made."""
    there = [*(one.name for one in machine.domains), BLOCKING.name, DEFAULT.name]
    if "@" not in text:
        _one_of(text, there, "domain", where)
    elif text not in there:
        made = made_domain(text)
        _one_of(made.kind, _KINDS, "kind", f"{where}: '{text}'")
        _one_of(made.unit, (one.name for one in machine.units), "unit", f"{where}: '{text}'")


def _check_whom(operation: Operation, at: Name | None, machine: Machine, where: str) -> None:
    """Who is asked exists, and answers such a call."""
    if operation.to == VFIO and not machine.has_vfio:
        raise ExperimentError(
            f"{where}: no device has VFIO's device file (driver = '{VFIO_DRIVERS[0]}')"
        )
    if at is None:
        return
    if operation.to == SAID:
        behind = [one.name for one in machine.devices if one.unit]
        _one_of(at, behind, "device behind a unit", f"{where}: {AT}")
    elif operation.to == OWN_CONTEXT:
        _one_of(at, machine.contexts, "context of iommufd", f"{where}: {AT}")
    elif at != operation.to:
        raise ExperimentError(f"{where}: {AT}: '{at}' has no such call, only '{operation.to}'")


def _one_of(text: str, there: Iterable[Name], what: str, where: str) -> None:
    known = list(dict.fromkeys(there))
    if text not in known:
        raise ExperimentError(
            f"{where}: '{text}' is not a {what}{nearest(text, known)}"
            f" (there are: {', '.join(known) or 'none'})"
        )
