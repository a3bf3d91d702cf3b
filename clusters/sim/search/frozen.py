"""Values as bytes and back: what an actor or a property remembers, and what is on a link.

`freeze` makes the bytes of any value that actors and properties are made of, the same in every
process; `thaw` makes a new value of them.  Between the two stand plain nested lists, in which names
can be exchanged (`renamed`, for symmetry) and the ghosts be numbered anew (`Ghost`).
"""

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import import_module
from operator import itemgetter
from typing import Final, TypeAlias, cast

import msgspec
from msgspec import Struct

from protocol.names import Incarnation, Name

Plain: TypeAlias = "bool | int | str | list[Plain] | None"
"""What `freeze` encodes: a list begins with a letter that says what it stands for."""

GHOST: Final = "g"
ENUM: Final = "e"
OBJECT: Final = "o"
DICT: Final = "d"
LIST: Final = "l"
TUPLE: Final = "t"
DEQUE: Final = "q"

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode


class Ghost(int):
    """The incarnation of a PASID, in a search: a number that knows that it is one.

    Nobody computes with a ghost but the core, which counts on; so the type stays on it wherever it
    is copied to, and the search can find all ghosts and forget how many there were before.
    """

    __slots__ = ()

    def __add__(self, other: int) -> "Ghost":
        return Ghost(int(self) + other)


class Unfreezable(TypeError):
    """A value that has no bytes: a set (it has no order), a function, an open file."""


# --- To plain lists, and to bytes -----------------------------------------------------------------

_CLASSES: Final[dict[str, type]] = {}
_NAMES: Final[dict[type, str]] = {}
_FIELDS: Final[dict[type, tuple[str, ...]]] = {}


def freeze(value: object, *, ordered: bool = True) -> bytes:
    """The bytes of a value.  Not `ordered`: dicts with the same items are the same."""
    return _encode(plain(value, ordered=ordered))


def plain(value: object, *, ordered: bool = True) -> Plain:
    """The value in nested lists."""
    kind = value.__class__
    if kind is str or kind is int or kind is bool or value is None:
        return cast("Plain", value)
    if kind is Ghost:
        return [GHOST, int(cast("Ghost", value))]
    if isinstance(value, Enum):
        return [ENUM, _name_of(kind), value.name]
    if kind is dict:
        items = [
            (plain(key, ordered=ordered), plain(its, ordered=ordered))
            for key, its in cast("dict[object, object]", value).items()
        ]
        return [DICT, *[part for item in (items if ordered else _in_order(items)) for part in item]]
    if kind is list or kind is tuple or kind is deque:
        letter = LIST if kind is list else TUPLE if kind is tuple else DEQUE
        inside = cast("Sequence[object]", value)
        return [letter, *[plain(part, ordered=ordered) for part in inside]]
    names = _FIELDS.get(kind) or _fields_of(kind, value)
    parts = [plain(getattr(value, name), ordered=ordered) for name in names]
    return [OBJECT, _name_of(kind), *parts]


def _in_order(items: list[tuple[Plain, Plain]]) -> list[tuple[Plain, Plain]]:
    """By key: numbers and words in their own order, others by their bytes."""
    for kind in (int, str):
        if all(key.__class__ is kind for key, _ in items):
            return sorted(items, key=itemgetter(0))
    return sorted(items, key=lambda item: _encode(item[0]))


def _fields_of(kind: type, value: object) -> tuple[str, ...]:
    """What an object is made of; the same for all of its class."""
    if issubclass(kind, Struct):
        names = tuple(kind.__struct_fields__)
    elif is_dataclass(kind):
        names = tuple(field.name for field in fields(kind))
    else:
        slots = [name for base in reversed(kind.__mro__) for name in _slots_of(base)]
        names = (*slots, *getattr(value, "__dict__", {}))
    if isinstance(value, set | frozenset) or callable(value) or kind.__module__ == "builtins":
        raise Unfreezable(f"a {kind.__name__} has no bytes")
    _FIELDS[kind] = names
    return names


def _slots_of(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _name_of(kind: type) -> str:
    name = _NAMES.get(kind)
    if name is None:
        name = _NAMES[kind] = f"{kind.__module__}:{kind.__qualname__}"
        _CLASSES[name] = kind
    return name


# --- And back -------------------------------------------------------------------------------------


def thaw(frozen: bytes) -> object:
    """A new value, equal to the one that was frozen."""
    return unplain(_decode(frozen))


def unplain(value: Plain) -> object:
    """The value of nested lists."""
    if not isinstance(value, list):
        return value
    letter = value[0]
    if letter == OBJECT:
        return _object(value)
    if letter == LIST:
        return [unplain(part) for part in value[1:]]
    if letter == DICT:
        parts = [unplain(part) for part in value[1:]]
        return dict(zip(parts[::2], parts[1::2], strict=True))
    if letter == TUPLE:
        return tuple([unplain(part) for part in value[1:]])
    if letter == GHOST:
        return Ghost(cast("int", value[1]))
    if letter == ENUM:
        return cast("type[Enum]", _class_of(cast("str", value[1])))[cast("str", value[2])]
    assert letter == DEQUE, f"{letter!r} begins no value"
    return deque([unplain(part) for part in value[1:]])


def _object(value: list[Plain]) -> object:
    kind = _class_of(cast("str", value[1]))
    parts = [unplain(part) for part in value[2:]]
    if issubclass(kind, Struct):
        return kind(**dict(zip(kind.__struct_fields__, parts, strict=True)))
    made = object.__new__(kind)
    for name, part in zip(_FIELDS[kind], parts, strict=True):
        object.__setattr__(made, name, part)
    return made


def _class_of(name: str) -> type:
    kind = _CLASSES.get(name)
    if kind is None:
        module, _, path = name.partition(":")
        found: object = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        kind = _CLASSES[name] = cast("type", found)
        _NAMES[kind] = name
    return kind


# --- Exchanged names, and ghosts ------------------------------------------------------------------


class Renaming:
    """Exchanges names of VMs wherever they stand as a word: `vm1`, `vm1.guest`, `vm1:wq`."""

    __slots__ = ("_new", "_word", "names")

    def __init__(self, names: Mapping[Name, Name]) -> None:
        self.names = dict(names)
        self._new: dict[str, str] = {}
        alternatives = "|".join(re.escape(name) for name in self.names)
        self._word = re.compile(rf"(?<![A-Za-z0-9])(?:{alternatives})(?![A-Za-z0-9])")

    def __str__(self) -> str:
        """Whom it exchanges."""
        return " and ".join(sorted(name for name, other in self.names.items() if name != other))

    def word(self, text: str) -> str:
        """A string with its names exchanged."""
        new = self._new.get(text)
        if new is None:
            names = self.names
            new = self._new[text] = self._word.sub(lambda found: names[found[0]], text)
        return new

    def plain(self, value: Plain, *, ordered: bool = True) -> Plain:
        """Nested lists with all names in them exchanged; classes keep theirs.

        Not `ordered`: the items of a dict then stand where `freeze` would have put them.
        """
        if isinstance(value, str):
            return self.word(value)
        if not isinstance(value, list) or value[0] == ENUM:
            return value
        kept = 2 if value[0] == OBJECT else 1
        parts = [self.plain(part, ordered=ordered) for part in value[kept:]]
        if value[0] == DICT and not ordered:
            items = _in_order(list(zip(parts[::2], parts[1::2], strict=True)))
            parts = [part for item in items for part in item]
        return [*value[:kept], *parts]

    def frozen(self, frozen: bytes, *, ordered: bool = True) -> bytes:
        """The same for the bytes of a value."""
        return _encode(self.plain(_decode(frozen), ordered=ordered))


def in_order(frozen: bytes) -> bytes:
    """The bytes of a value with its dicts in the order of their keys."""
    return _encode(_dicts_in_order(_decode(frozen)))


def _dicts_in_order(value: Plain) -> Plain:
    if not isinstance(value, list):
        return value
    parts = [_dicts_in_order(part) for part in value[1:]]
    if value[0] == DICT:
        items = _in_order(list(zip(parts[::2], parts[1::2], strict=True)))
        parts = [part for item in items for part in item]
    return [value[0], *parts]


def ghosts_in(value: Plain, found: dict[Incarnation, None]) -> None:
    """Add the ghosts of nested lists."""
    if isinstance(value, list):
        if value[0] == GHOST:
            found[cast("int", value[1])] = None
            return
        for part in value[1:]:
            ghosts_in(part, found)


def with_ghosts(value: Plain, number: Callable[[Incarnation], Incarnation]) -> Plain:
    """The same with every ghost numbered anew."""
    if not isinstance(value, list):
        return value
    if value[0] == GHOST:
        return [GHOST, number(cast("int", value[1]))]
    return [value[0], *[with_ghosts(part, number) for part in value[1:]]]
