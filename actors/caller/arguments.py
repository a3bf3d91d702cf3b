"""What a caller says, and what it was told: arguments, variables, values.

An argument is text: a number, a name, `a+b` for several flags, or `$v`, the value of a variable: of
its answer the field of the argument's own name, else the only one it has.  An outcome is `ok`, an
errno, `same(v)`, `other(v)`, or the value itself, written `=5`.
"""

from __future__ import annotations

from typing import Final, TypeAlias, get_origin

import msgspec

from protocol.calls import AT, CALLS, FILLED
from protocol.messages import AnyMessage, EnqcmdWriteGot
from protocol.messages.iommu_core import AllocGlobalPasidGot, AttachHandleGot
from protocol.messages.iommufd import DomainGot, FaultsGot, MockDeviceGot, ObjectGot, PtGot
from protocol.messages.probing import HwInfoGot
from protocol.messages.sva import DomainAllocSvaGot, SvaBindDeviceGot, SvaGetPasidGot
from protocol.messages.vfio_cdev import CdevGot
from protocol.names import Call, Incarnation, Pasid
from protocol.plan import Step

Got: TypeAlias = (
    AllocGlobalPasidGot
    | AttachHandleGot
    | SvaBindDeviceGot
    | SvaGetPasidGot
    | ObjectGot
    | PtGot
    | MockDeviceGot
    | FaultsGot
    | DomainGot
    | DomainAllocSvaGot
    | EnqcmdWriteGot
    | HwInfoGot
    | CdevGot
)
"""Answers with a value."""

VARIABLE: Final = "$"
SEVERAL: Final = "+"
VALUE: Final = "="
SAME: Final = "same("
OTHER: Final = "other("


def message_of(step: Step, values: dict[str, Got], call: Call) -> AnyMessage:
    """The message of a step; raises `msgspec.ValidationError` if an argument is not of its type."""
    message = CALLS[step.operation].message
    fields: dict[str, object] = {"call": call}
    if "incarnation" in message.__struct_fields__:
        fields["incarnation"] = pasid_of(step, values)[1]
    types = {one.name: one.type for one in msgspec.structs.fields(message)}
    for name, text in step.arguments:
        if name != AT:
            fields[name] = argument(name, types[name], text, values)
    array = [fields.get(one.name, one.default) for one in msgspec.structs.fields(message)]
    return msgspec.convert([message.__name__, *array], message, strict=False)


def argument(name: str, kind: object, text: str, values: dict[str, Got]) -> object:
    """What the text stands for.  A variable that nothing has set is NULL, or 0."""
    if text.startswith(VARIABLE):
        got = values.get(text.removeprefix(VARIABLE))
        return field_of(got, name) if got is not None else (0 if kind is int else "")
    if get_origin(kind) is tuple:
        return [one for one in text.split(SEVERAL) if one]
    return text


def field_of(got: Got, name: str) -> object:
    """A variable's value: the field of that name, else the first that it has."""
    fields = msgspec.structs.asdict(got)
    return fields[name] if name in fields else next(fields[one] for one in value_fields(got))


def value_fields(got: Got) -> list[str]:
    """Its fields, but those that no script states, or that only the kernel is told."""
    every = [one.name for one in msgspec.structs.fields(got) if one.required]
    return [one for one in every if one not in FILLED]


def pasid_of(step: Step, values: dict[str, Got]) -> tuple[Pasid, Incarnation]:
    """The PASID that a step names, and its ghost, if it came with one."""
    text = dict(step.arguments).get("pasid", "0")
    if not text.startswith(VARIABLE):
        return int(text), 0
    got = values.get(text.removeprefix(VARIABLE))
    if got is None:
        return 0, 0
    pasid = field_of(got, "pasid")
    assert isinstance(pasid, int), "a PASID is a number"
    return pasid, got.incarnation if isinstance(got, AllocGlobalPasidGot) else 0


# --- Outcomes -------------------------------------------------------------------------------------


def is_value(text: str) -> bool:
    """Whether it is about the value, not only about success."""
    return text.startswith((VALUE, SAME, OTHER))


def is_met(wanted: str, got: Got, values: dict[str, Got]) -> bool:
    """Whether the answer has that value; `other` than a variable that is unset is met."""
    if wanted.startswith(VALUE):
        return text_of(got) == wanted
    before = values.get(wanted.partition("(")[2].removesuffix(")"))
    alike = before is not None and text_of(before) == text_of(got)
    return alike if wanted.startswith(SAME) else not alike


def text_of(got: Got) -> str:
    """The value as a script writes it."""
    values: list[object] = [getattr(got, one) for one in value_fields(got)]
    return VALUE + SEVERAL.join(_text(value) for value in values)


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return SEVERAL.join(_text(one) for one in value)
    return str(value)
