"""Who plays in a live run, as a value that travels: to every host, and into the run folder.

Classes travel by name, never as objects: a host imports them itself, and a file that names them
may only name classes of this project.  A revision or a defect from outside the tree travels as the
text of its Python file; of a stored run it is read again only if the user has named it, too.
"""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final, cast

import msgspec
from msgspec import Struct

from clusters.cluster import Actor, ActorClass, build, names
from clusters.lineup import Lineup
from clusters.live.placement import HOST_NAME, Placement
from protocol.errors import ExperimentError, IncompleteError, UnreadableError
from protocol.machine import Machine
from protocol.names import Name
from protocol.plan import Plan

CAST_BYTES_MAX: Final = 16 << 20
IMPORTED_FROM: Final = ("actors", "tests")


class Cast(Struct, frozen=True, forbid_unknown_fields=True):
    """The machine's actors; `classes` (role -> `module:Class`) are of yet another class.

    `toys` names a function without parameters that gives other actors than the machine's.
    """

    machine: Machine
    plans: dict[Name, Plan]
    classes: dict[str, str] = {}
    toys: str = ""
    lineup: Lineup = Lineup()

    def actors(self) -> dict[Name, Actor]:
        """Every actor as it is before its `Start`, in the order of starting."""
        if self.toys:
            return cast("Callable[[], dict[Name, Actor]]", imported(self.toys))()
        classes = {role: cast("ActorClass", imported(said)) for role, said in self.classes.items()}
        return build(self.machine, self.plans, {**self.lineup.classes(), **classes})

    def roles(self) -> dict[Name, str]:
        """Every actor's role; a toy stands for itself."""
        if self.toys:
            return {name: name for name in self.actors()}
        return names(self.machine)


def imported(said: str) -> object:
    """What `module:name` names, if it is ours."""
    module, _, name = said.partition(":")
    if module.partition(".")[0] not in IMPORTED_FROM or not name.isidentifier():
        raise ExperimentError(f"'{said}' is not the name of a class of ours (actors.module:Class)")
    try:
        return cast("object", getattr(import_module(module), name))
    except (ImportError, AttributeError) as error:
        raise ExperimentError(f"'{said}' cannot be imported: {error}") from error


class Setting(Struct, frozen=True, forbid_unknown_fields=True):
    """A cast and where each of it played."""

    cast: Cast
    placement: Placement


def write_setting(path: Path, setting: Setting) -> None:
    """Keep it beside the journals, so that they can be re-executed with nothing else."""
    with path.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(setting), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_setting(path: Path) -> Setting:
    """Who played in a stored run, and where."""
    try:
        size = path.stat().st_size
        if size > CAST_BYTES_MAX:
            raise UnreadableError(f"{path}: has {size} bytes, at most {CAST_BYTES_MAX} are read")
        setting = msgspec.json.decode(path.read_bytes(), type=Setting)
    except OSError as error:
        raise IncompleteError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableError(f"{path}: not the setting of a run: {error}") from error
    if not setting.cast.lineup.admitted():
        names = ", ".join(one.name for one in setting.cast.lineup.own)
        raise UnreadableError(f"{path}: was played by {names}, which runs only if you name it, too")
    if not all(HOST_NAME.fullmatch(host) for host in setting.placement.values()):
        raise UnreadableError(f"{path}: a host's name is not one")
    return setting
