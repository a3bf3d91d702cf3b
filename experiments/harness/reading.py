"""Reads TOML from outside into a type, and says in one sentence what is wrong with it."""

import re
import stat
import tomllib
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

import msgspec

from protocol.errors import ExperimentError, nearest

T = TypeVar("T")
SAID_MAX: Final = 40
"""Characters of a wrong value that are shown."""
_AT: Final = re.compile(r" - at `(\$[^`]*)`$")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `([^`]*)`")
_MISSING: Final = re.compile(r"Object missing required field `([^`]*)`")
_TYPE: Final = re.compile(r"`((?:int|float|str|bool|array|object|null|[ |])+)`")
_INDEX: Final = re.compile(r"[0-9]{1,9}")
PLAIN: Final = {
    "int": "a whole number", "float": "a number", "str": "text", "bool": "true or false",
    "array": "a list", "object": "a table", "null": "nothing",
}  # fmt: skip
"""Types, in the words of somebody who writes TOML."""
EXPERIMENTS: Final = Path(__file__).resolve().parents[1]


def read_file(path: Path, bytes_max: int) -> bytes:
    """The bytes of a file; missing, a folder, no regular file and too large are user errors."""
    refuse_odd(path)
    try:
        if path.stat().st_size > bytes_max:
            raise ExperimentError(f"{path}: larger than {bytes_max} bytes")
        with path.open("rb") as file:
            return file.read(bytes_max)
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read: {error.strerror}") from error


def refuse_odd(path: Path) -> None:
    """Only a regular file ends, and holds still."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ExperimentError(f"{path}: no such file{_hint(path)}") from None
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # a zero byte in the name
        raise ExperimentError(f"{path}: cannot be read: {error}") from error
    if stat.S_ISDIR(mode):
        raise ExperimentError(f"{path}: is a folder, not a file")
    if not stat.S_ISREG(mode):
        raise ExperimentError(f"{path}: is not a regular file")


def read_toml(path: Path, bytes_max: int) -> str:
    """The text of a file, which must be UTF-8."""
    data = read_file(path, bytes_max)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExperimentError(
            f"{path}: cannot be read: byte {error.start} is not UTF-8 text"
        ) from error


def _hint(path: Path) -> str:
    """A neighbour with nearly this name, or an experiment of the tree with this one."""
    try:
        beside = sorted(one.name for one in path.parent.iterdir() if one.suffix == path.suffix)
    except OSError:
        beside = []
    if close := get_close_matches(path.name, beside, n=1, cutoff=0.7):
        return f"; did you mean '{close[0]}'?"
    for one in sorted(EXPERIMENTS.glob("*/*.toml")):
        if one.stem == path.stem:
            return f"; did you mean '{shown(one)}'?"
    return ""


def shown(path: Path) -> str:
    """A path as short as it can be from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


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
        place, sentence = explain(str(error), table, kind)
        changed = next((change for change in changes if _touches(change, place)), "")
        source = f"--set {changed}" if changed else where
        raise ExperimentError(f"{source}: {sentence}") from error


def _touches(change: str, place: str) -> bool:
    """Whether what is wrong at `place` can come from this change."""
    changed = _steps(change.partition("=")[0])
    wrong = [step.strip("[]") for step in _steps(place)]
    short = min(len(changed), len(wrong))
    return bool(wrong) and changed[:short] == wrong[:short]


def _apply(table: dict[str, Any], change: str) -> None:
    """`pool.pasids=4` or `nemesis.0.target=core`: the right side is TOML, else a bare string."""
    path, equals, value = change.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys) or "\n" in change:
        line = change.partition("\n")[0]
        raise ExperimentError(f"--set {line}: wants path.to.key=value, on one line")
    place: Any = table
    *parents, key = keys
    for parent, child in zip(parents, keys[1:], strict=True):
        if isinstance(place, list):
            place = _item(place, parent, change)
        elif isinstance(place, dict):
            place = place.setdefault(parent, [] if _INDEX.fullmatch(child) else {})
        else:
            raise ExperimentError(f"--set {change}: '{parent}' is not a table")
    typed = _typed(value.strip())
    if isinstance(place, list):
        _item(place, key, change)
        place[int(key)] = typed
    elif isinstance(place, dict):
        place[key] = typed
    else:
        raise ExperimentError(f"--set {change}: '{parents[-1]}' is not a table")


def _typed(value: str) -> object:
    """One TOML value; what is not one is text."""
    try:
        table = tomllib.loads(f"value = {value}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return value
    return table["value"] if len(table) == 1 else value


def _item(place: list[Any], index: str, change: str) -> Any:  # noqa: ANN401  TOML is untyped here
    if not _INDEX.fullmatch(index) or int(index) >= len(place):
        there = f"{len(place)} entr{'y' if len(place) == 1 else 'ies'}"
        raise ExperimentError(f"--set {change}: there is no [{index}], only {there}")
    return place[int(index)]


def explain(error: str, table: object, kind: object) -> tuple[str, str]:
    """Msgspec's message as its place and `$.place: rule; did you mean ...?`."""
    found = _AT.search(error)
    place = found[1] if found else "$"
    rule = error[: found.start()] if found else error
    value, wanted = _value_at(table, place), _type_at(kind, place)
    if unknown := _UNKNOWN.match(rule):
        fields = _fields(wanted)
        hint = nearest(unknown[1], fields)
        keys = f" (keys: {', '.join(fields)})"
        return f"{place}.{unknown[1]}", f"{place}: '{unknown[1]}' is not a key here{hint}{keys}"
    if missing := _MISSING.match(rule):
        return place, f"{place}: the key '{missing[1]}' is missing"
    if rule.startswith("Invalid enum value"):
        words = [str(word) for word in get_args(wanted)]
        name = place.rsplit(".", 1)[-1].split("[")[0]
        hint = nearest(str(value), words)
        return place, f"{place}: '{value}' is not a {name}{hint} (one of: {', '.join(words)})"
    rule = _TYPE.sub(
        lambda found: " or ".join(PLAIN[word] for word in found[1].split(" | ")),
        rule.partition(", got ")[0],
    )
    return place, f"{place}: {rule.replace('Expected', 'wants')}, not {_said(value)}"


def _said(value: object) -> str:
    """What stands there, shortly."""
    match value:
        case dict():
            return "a table"
        case list():
            return f"a list of {len(value)}"
        case bool():
            return str(value).lower()
        case str():
            return f"'{value}'" if len(value) <= SAID_MAX else f"'{value[:SAID_MAX]}...'"
        case _:
            return str(value)[:SAID_MAX]


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
