"""An actor's whole state, copied and digested, fast enough for every step of a search.

Frozen values are shared by copies, all else is copied.  The digest leaves out ghosts (`Ghost`):
which life of a number it is does not tell two states apart (§1.4).
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final, TypeVar, cast, get_type_hints

import msgspec
from msgspec import Struct

from clusters.sim.search.frozen import Ghost, Unfreezable

T = TypeVar("T")

_encode: Final = msgspec.msgpack.Encoder().encode
DIGEST_BYTES: Final = 16
_ATOMS: Final = frozenset({int, str, bool, bytes, type(None)})


def copy_of(value: T) -> T:
    """A value that shares nothing with this one that could change."""
    return cast("T", _copier(value.__class__)(value))


def digest(value: object, *also: object) -> bytes:
    """The same bytes for equal states, whatever the order in which their dicts were filled."""
    return blake2b(_encode((also, _plain(value))), digest_size=DIGEST_BYTES).digest()


# --- Copies ---------------------------------------------------------------------------------------

_COPIERS: Final[dict[type, Callable[[Any], Any]]] = {}


def _same(value: object) -> object:
    return value


def _list(value: list[object]) -> list[object]:
    copiers = _COPIERS
    return [copiers.get(part.__class__, copy_of)(part) for part in value]


def _dict(value: dict[object, object]) -> dict[object, object]:
    return {key: copy_of(part) for key, part in value.items()}


def _copier(kind: type) -> Callable[[Any], Any]:
    found = _COPIERS.get(kind)
    if found is None:
        found = _COPIERS[kind] = _made_copier(kind)
    return found


def _made_copier(kind: type) -> Callable[[Any], Any]:
    if kind in (int, str, bool, bytes, type(None), Ghost) or issubclass(kind, Enum):
        return _same
    if kind is tuple:
        return _same  # Of frozen values: a tuple in an actor stands for something that is fixed.
    if kind is list:
        return _list
    if kind is dict:
        return _dict
    if issubclass(kind, Struct):
        if kind.__struct_config__.frozen:
            return _same
        return _struct_copier(kind)
    if is_dataclass(kind):
        return _object_copier(kind, tuple(field.name for field in fields(kind)))
    raise Unfreezable(f"a {kind.__name__} cannot be copied")


def _struct_copier(kind: type[Struct]) -> Callable[[Any], Any]:
    """A field that is declared as a number, a word or an enum needs no look."""
    hints = get_type_hints(kind)
    names = [name for name in kind.__struct_fields__ if not _is_plain(hints[name])]

    def copied(value: Any) -> Any:  # noqa: ANN401
        made = value.__copy__()
        for name in names:
            setattr(made, name, copy_of(getattr(value, name)))
        return made

    return copied


def _is_plain(hint: object) -> bool:
    return hint in _ATOMS or (isinstance(hint, type) and issubclass(hint, Enum))


def _object_copier(kind: type, names: tuple[str, ...]) -> Callable[[Any], Any]:
    def copied(value: Any) -> Any:  # noqa: ANN401
        made: Any = object.__new__(kind)
        for name in names:
            setattr(made, name, copy_of(getattr(value, name)))
        return made

    return copied


# --- Digests --------------------------------------------------------------------------------------

_NAMES: Final[dict[Enum, str]] = {}
_FIELDS: Final[dict[type, Callable[[object], tuple[object, ...]]]] = {}


def _plain(value: object) -> object:
    """Nested tuples of atoms."""
    kind = value.__class__
    if kind in _ATOMS:
        return value
    if kind is list or kind is tuple:
        return [
            part if part.__class__ in _ATOMS else _plain(part)
            for part in cast("list[object]", value)
        ]
    if kind is dict:
        items = cast("dict[Any, object]", value).items()
        return [(key, _plain(part)) for key, part in sorted(items)] if items else ()
    if kind is Ghost:
        return None
    if isinstance(value, Enum):
        name = _NAMES.get(value)
        if name is None:
            name = _NAMES[value] = value.name
        return name
    parts = _FIELDS.get(kind) or _fields_of(kind)
    return [part if part.__class__ in _ATOMS else _plain(part) for part in parts(value)]


def _fields_of(kind: type) -> Callable[[object], tuple[object, ...]]:
    """What an object of the class is made of, its class first."""
    if issubclass(kind, Struct):
        names = tuple(kind.__struct_fields__)
    elif is_dataclass(kind):
        names = tuple(field.name for field in fields(kind))
    else:
        raise Unfreezable(f"a {kind.__name__} has no digest")
    found = _FIELDS[kind] = attrgetter("__class__.__name__", *names)
    return found
