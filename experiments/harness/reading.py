"""Reads TOML from outside into a type, and says in one sentence what is wrong with it."""

import re
import tomllib
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

import msgspec

from experiments.harness.script import nearest
from protocol.errors import ExperimentError

T = TypeVar("T")
DEPTH_MAX: Final = 16
_AT: Final = re.compile(r" - at `(\$[^`]*)`$")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `([^`]*)`")


def read_toml(path: Path, bytes_max: int) -> str:
    """The text of a file; missing, too large and not UTF-8 are user errors."""
    try:
        if path.stat().st_size > bytes_max:
            raise ExperimentError(f"{path}: larger than {bytes_max} bytes")
        return path.read_bytes().decode()
    except FileNotFoundError:
        near = nearest(path.name, _siblings(path))
        raise ExperimentError(f"{path}: no such file{near}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path}: cannot be read: {error}") from error


def _siblings(path: Path) -> list[str]:
    try:
        return sorted(other.name for other in path.parent.iterdir())
    except OSError:
        return []


def decode(text: str, where: str, kind: type[T], changes: tuple[str, ...] = ()) -> T:
    """`text` as TOML of type `kind`, with dotted changes applied before it is checked."""
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ExperimentError(f"{where}: not TOML: {error}") from error
    for change in changes:
        _apply(table, change)
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise ExperimentError(f"{where}: {explain(str(error), table, kind)}") from error


def _apply(table: dict[str, Any], change: str) -> None:
    """`pool.pasids=4` or `nemesis.0.target=core`: the right side is TOML, else a bare string."""
    path, equals, value = change.partition("=")
    if not equals or not path:
        raise ExperimentError(f"--set {change}: wants path.to.key=value")
    place: Any = table
    *parents, key = path.strip().split(".")
    for parent in parents:
        if isinstance(place, list):
            place = _item(place, parent, change)
        elif isinstance(place, dict):
            place = place.setdefault(parent, {})
        else:
            raise ExperimentError(f"--set {change}: '{parent}' is not a table")
    try:
        typed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        typed = value.strip()
    if isinstance(place, list):
        _item(place, key, change)
        place[int(key)] = typed
    elif isinstance(place, dict):
        place[key] = typed
    else:
        raise ExperimentError(f"--set {change}: '{parents[-1]}' is not a table")


def _item(place: list[Any], index: str, change: str) -> Any:  # noqa: ANN401  TOML is untyped here
    if not index.isdigit() or int(index) >= len(place):
        raise ExperimentError(f"--set {change}: there is no [{index}], only {len(place)} entries")
    return place[int(index)]


def explain(error: str, table: object, kind: object) -> str:
    """Msgspec's message as `$.place: rule; did you mean ...?`."""
    found = _AT.search(error)
    place = found[1] if found else "$"
    rule = error[: found.start()] if found else error
    value, wanted = _value_at(table, place), _type_at(kind, place)
    if unknown := _UNKNOWN.match(rule):
        fields = _fields(wanted)
        hint = nearest(unknown[1], fields)
        return f"{place}: '{unknown[1]}' is not a key here{hint} (keys: {', '.join(fields)})"
    if rule.startswith("Invalid enum value"):
        words = [str(word) for word in get_args(wanted)]
        name = place.rsplit(".", 1)[-1].split("[")[0]
        hint = nearest(str(value), words)
        return f"{place}: '{value}' is not a {name}{hint} (one of: {', '.join(words)})"
    return f"{place}: {rule}"


def _steps(place: str) -> list[str]:
    return re.findall(r"[A-Za-z0-9_-]+|\[[0-9.]+\]", place)


def _value_at(table: object, place: str) -> object:
    value: Any = table
    for step in _steps(place):
        try:
            value = value[int(step[1:-1])] if step.startswith("[") else value[step]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return value


def _bare(kind: Any) -> Any:  # noqa: ANN401  types are values here
    return get_args(kind)[0] if hasattr(kind, "__metadata__") else kind


def _type_at(kind: object, place: str) -> object:
    wanted: Any = kind
    for step in _steps(place):
        wanted = _bare(wanted)
        if step.startswith("["):
            wanted = get_args(wanted)[0] if get_args(wanted) else None
            continue
        if not (isinstance(wanted, type) and issubclass(wanted, msgspec.Struct)):
            return None
        by_name = {f.encode_name: f.type for f in msgspec.structs.fields(wanted)}
        wanted = by_name.get(step)
    wanted = _bare(wanted)
    if get_origin(wanted) is Literal or not isinstance(wanted, UnionType):
        return wanted
    return get_args(wanted)[0]


def _fields(kind: object) -> list[str]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return [f.encode_name for f in msgspec.structs.fields(kind)]
    return []
