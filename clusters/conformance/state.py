"""An actor's whole state, copied and digested, fast enough for every step of a search.

Frozen values are shared by copies, all else is copied.  The digest leaves out ghosts (`Ghost`):
which life of a number it is does not tell two states apart (§1.4).
"""

from collections.abc import Callable, Iterable
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
    return cast("T", _COPIERS[value.__class__](value))


def digest(value: object, *also: object) -> bytes:
    """The same bytes for equal states, whatever the order in which their dicts were filled."""
    plain = _PLAINERS[value.__class__](value)
    return blake2b(_encode((also, plain)), digest_size=DIGEST_BYTES).digest()


class _ByClass(dict[type, Callable[[Any], Any]]):
    """What is done with the values of a class, made when the first of them is met."""

    def __init__(self, made: Callable[[type], Callable[[Any], Any]]) -> None:
        super().__init__()
        self.made = made

    def __missing__(self, kind: type) -> Callable[[Any], Any]:
        self[kind] = found = self.made(kind)
        return found


# --- Copies ---------------------------------------------------------------------------------------


def _same(value: object) -> object:
    return value


def _list(value: list[object]) -> list[object]:
    copiers = _COPIERS
    return [copiers[part.__class__](part) for part in value]


def _dict(value: dict[object, object]) -> dict[object, object]:
    copiers = _COPIERS
    return {key: copiers[part.__class__](part) for key, part in value.items()}


def _copier(kind: type) -> Callable[[Any], Any]:
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
            part = getattr(value, name)
            setattr(made, name, _COPIERS[part.__class__](part))
        return made

    return copied


def _is_plain(hint: object) -> bool:
    return hint in _ATOMS or (isinstance(hint, type) and issubclass(hint, Enum))


def _object_copier(kind: type, names: tuple[str, ...]) -> Callable[[Any], Any]:
    def copied(value: Any) -> Any:  # noqa: ANN401
        made: Any = object.__new__(kind)
        for name in names:
            part = getattr(value, name)
            setattr(made, name, _COPIERS[part.__class__](part))
        return made

    return copied


_COPIERS: Final = _ByClass(_copier)

# --- Digests --------------------------------------------------------------------------------------


def _parts(values: Iterable[object]) -> list[object]:
    """Nested lists of atoms."""
    plainers = _PLAINERS
    return [part if part.__class__ in _ATOMS else plainers[part.__class__](part) for part in values]


def _items(value: dict[Any, object]) -> list[object]:
    plainers = _PLAINERS
    return [(key, plainers[part.__class__](part)) for key, part in sorted(value.items())]


def _nothing(_: Ghost) -> None:
    return None


def _plainer(kind: type) -> Callable[[Any], Any]:
    if kind in _ATOMS:
        return _same
    if kind is list or kind is tuple:
        return _parts
    if kind is dict:
        return _items
    if kind is Ghost:
        return _nothing
    if issubclass(kind, Enum):
        return attrgetter("_name_")
    if issubclass(kind, Struct):
        names = kind.__struct_fields__
    elif is_dataclass(kind):
        names = tuple(field.name for field in fields(kind))
    else:
        raise Unfreezable(f"a {kind.__name__} has no digest")
    parts_of = attrgetter("__class__.__name__", *names)
    return lambda value: _parts(parts_of(value))


_PLAINERS: Final = _ByClass(_plainer)
