"""Which protocol is played: a published revision of it, with defects on top (§1.10).

A revision and a defect are modules of one form: a docstring that says what is different, `SOURCE`,
and `CLASSES`, by role the subclasses of the sound actors.  Several of one role are combined, the
defect named last outermost.  A module may also be a Python file outside the tree; its text then
travels with the lineup, to worker processes and to live hosts.
"""

import sys
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Final, cast

from msgspec import Struct

import actors.defects
import actors.revisions
from clusters.cluster import MODERN, ROLES, ActorClass, Role, roles_of
from protocol.errors import ExperimentError, nearest
from protocol.machine import GUESTS, IOASID, IOMMUFD

SOUND: Final = "sound"
SUFFIX: Final = ".py"
ALLOCATOR: Final = "core"
"""The role that hands out the PASIDs, where one actor does."""
OWN_MODULES: Final = "pasidlab_own_"
"""What modules outside the tree are called while they are loaded."""


class Own(Struct, frozen=True, forbid_unknown_fields=True):
    """A Python file outside the tree: its name, `mine.py`, and its text."""

    name: str
    text: str


class Lineup(Struct, frozen=True, forbid_unknown_fields=True):
    """A revision, the defects on top of it, and the text of those that are not ours."""

    revision: str = SOUND
    defects: tuple[str, ...] = ()
    own: tuple[Own, ...] = ()

    @property
    def title(self) -> str:
        """As one says it: `v4 + kvm-ignores-failed-get`."""
        return " + ".join((self.revision, *self.defects))

    def admitted(self) -> bool:
        """Whether the user has named every file in it, so that it may be run."""
        return all(_ADMITTED.get(one.name) == one for one in self.own)

    def classes(self) -> dict[Role, ActorClass]:
        """By role, the classes that are not the sound ones."""
        return dict(_classes(self))


AS_IT_IS: Final = Lineup()
"""The sound protocol."""

_ADMITTED: Final[dict[str, Own]] = {}
"""Python files that the user of this process has named: only those are run, however named later."""


def admit(own: Own) -> None:
    """The user has named this file, so it may be run."""
    before = _ADMITTED.setdefault(own.name, own)
    if before != own:
        raise ExperimentError(f"two different files are called {own.name}: rename one of them")


def lineup(revision: str, defects: tuple[str, ...]) -> Lineup:
    """The lineup of these names, with the files among them that the user has named."""
    names = dict.fromkeys((revision, *defects))
    own = tuple(_ADMITTED[name] for name in names if name in _ADMITTED)
    return Lineup(revision, defects, own)


def revisions() -> dict[str, str]:
    """The published revisions, by name, with the modules that say them; not the sound one."""
    return {_shown(name): name for name in _modules(actors.revisions)}


def defects() -> dict[str, str]:
    """The known defects, by name, with the modules that say them."""
    return {name.replace("_", "-"): name for name in _modules(actors.defects)}


def about(name: str) -> ModuleType:
    """The module of a revision or a defect of the tree."""
    if name in revisions():
        return import_module(f"actors.revisions.{revisions()[name]}")
    return import_module(f"actors.defects.{defects()[name]}")


def stack_of(lineup: Lineup, stack: str) -> str:
    """The stack on which an experiment of `stack` is played: a revision may have its guests."""
    if lineup.revision == SOUND or stack != IOASID:
        return stack
    if not lineup.revision.endswith(SUFFIX) and lineup.revision not in revisions():
        return stack  # `check` refuses it.
    guests_on: object = getattr(_module(lineup, lineup.revision), "GUESTS_ON", stack)
    return GUESTS if guests_on == IOMMUFD else stack


def touches(lineup: Lineup, stack: str) -> bool:
    """Whether its revision changes an actor of that stack."""
    there = roles_of(stack)
    return any(role in there for role in changed(lineup))


def plays(lineup: Lineup, stack: str) -> bool:
    """Whether its revision can be played on that stack; conform asks of others, too."""
    if lineup.revision == SOUND:
        return True
    return touches(lineup, stack) and not _homeless(changed(lineup), stack)


def changed(lineup: Lineup) -> tuple[Role, ...]:
    """The roles of which its revision has actors."""
    if lineup.revision == SOUND:
        return ()
    return tuple(_stated(_module(lineup, lineup.revision), lineup.revision))


def _homeless(roles: Collection[Role], stack: str) -> bool:
    """What stands on an allocator of its own cannot be without it (the SVA library of 6.1)."""
    return ALLOCATOR in roles and ALLOCATOR not in roles_of(stack)


def check_played(lineup: Lineup, stack: str, revision_at: str, defects_at: str) -> None:
    """As `check`; what an experiment of that stack would not notice is refused there."""
    check(lineup, revision_at, defects_at)
    there = roles_of(stack)
    if not plays(lineup, stack):
        raise ExperimentError(_elsewhere(revision_at, lineup.revision, changed(lineup), stack))
    for k, name in enumerate(lineup.defects):
        roles = _stated(_module(lineup, name), name)
        if not any(role in there for role in roles):
            raise ExperimentError(_elsewhere(f"{defects_at}[{k}]", name, roles, stack))


def _elsewhere(place: str, name: str, roles: Iterable[Role], stack: str) -> str:
    there = roles_of(stack)
    missing = [role for role in roles if role not in there]
    return (
        f"{place}: '{name}' is of actors that the stack '{stack}' does not have"
        f" ({', '.join(missing)}; it has {', '.join(there)})"
    )


def check(lineup: Lineup, revision_at: str, defects_at: str) -> None:
    """Everything that it names is there, and goes together; a refusal says the place."""
    known = [SOUND, *revisions()]
    if not lineup.revision.endswith(SUFFIX) and lineup.revision not in known:
        raise ExperimentError(
            f"{revision_at}: '{lineup.revision}' is not a revision"
            f"{nearest(lineup.revision, known)} (revisions: {', '.join(known)})"
        )
    for index, name in enumerate(lineup.defects):
        if not name.endswith(SUFFIX) and name not in defects():
            raise ExperimentError(
                f"{defects_at}[{index}]: '{name}' is not a defect"
                f"{nearest(name, list(defects()))} (see: pasidlab list defects)"
            )
        if name in lineup.defects[:index]:
            raise ExperimentError(f"{defects_at}[{index}]: '{name}' is named twice")
    lineup.classes()


@lru_cache(maxsize=64)
def _classes(lineup: Lineup) -> Mapping[Role, ActorClass]:
    layers: dict[Role, list[tuple[str, type]]] = {}
    inner = () if lineup.revision == SOUND else (lineup.revision,)
    for name in (*inner, *lineup.defects):
        for role, kind in _stated(_module(lineup, name), name).items():
            layers.setdefault(role, []).insert(0, (name, kind))
    return {role: _combined(role, kinds) for role, kinds in layers.items()}


def _combined(role: Role, layers: list[tuple[str, type]]) -> ActorClass:
    """One class out of the layers of a role, the outermost first."""
    inner = [kind for _, kind in layers]
    # A revision may have a defect already: it is made out of them.
    layers = [
        layer
        for k, layer in enumerate(layers)
        if not any(issubclass(kind, layer[1]) for kind in inner[k + 1 :])
    ]
    kinds = tuple(kind for _, kind in layers)
    if len(kinds) == 1:
        return cast("ActorClass", kinds[0])
    names = " and ".join(name for name, _ in reversed(layers))
    sound: object = _sound(role)
    assert isinstance(sound, type)
    if not all(issubclass(kind, sound) for kind in kinds):
        raise ExperimentError(f"{names} do not go together: they have a {role} of their own")
    try:
        kind = type(f"{sound.__name__} of {names}", kinds, {"__slots__": ()})
    except TypeError as error:
        raise ExperimentError(f"{names} do not go together: {error}") from error
    # What is sent to another process names its class, and is looked up there.
    kind.__module__ = __name__
    globals()[kind.__qualname__] = kind
    return cast("ActorClass", kind)


def _sound(role: Role) -> ActorClass:
    """Who plays the role where nothing else is said."""
    if role in ROLES:
        return ROLES[role]
    return roles_of(GUESTS)[role]


def _stated(module: ModuleType, name: str) -> dict[Role, type]:
    """A module's `CLASSES`, if it is of the right form."""
    stated: object = getattr(module, "CLASSES", None)
    if not isinstance(stated, dict):
        raise ExperimentError(f"{name}: has no CLASSES: a dict from role to class")
    for role, kind in stated.items():
        if role not in ROLES and role not in MODERN:
            every = list(dict.fromkeys((*ROLES, *MODERN)))
            raise ExperimentError(
                f"{name}: CLASSES: '{role}' is not a role{nearest(str(role), every)}"
                f" (roles: {', '.join(every)})"
            )
        if not isinstance(kind, type) or not all(
            hasattr(kind, one) for one in ("of", "handle", "SITES", "LOSABLE")
        ):
            sound: object = _sound(role)
            wanted = sound.__name__ if isinstance(sound, type) else role
            raise ExperimentError(f"{name}: CLASSES['{role}']: is not a subclass of {wanted}")
    return cast("dict[Role, type]", stated)


def _module(lineup: Lineup, name: str) -> ModuleType:
    if not name.endswith(SUFFIX):
        return about(name)
    for own in lineup.own:
        if own.name == name:
            return _loaded(own)
    raise ExperimentError(
        f"{name}: a Python file runs only if you name it: --revision or --defect with its path"
    )


@lru_cache(maxsize=64)
def _loaded(own: Own) -> ModuleType:
    """What the text says, run as a module."""
    module = ModuleType(OWN_MODULES + own.name.removesuffix(SUFFIX))
    sys.modules[module.__name__] = module
    try:
        exec(compile(own.text, own.name, "exec"), module.__dict__)  # noqa: S102  see above
    except SyntaxError as error:
        raise ExperimentError(f"{own.name}: line {error.lineno}: {error.msg}") from error
    except Exception as error:
        trace, line = error.__traceback__, 0
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == own.name:
                line = trace.tb_lineno
            trace = trace.tb_next
        raise ExperimentError(
            f"{own.name}: line {line}: {type(error).__name__}: {error}"
        ) from error
    return module


def _modules(package: ModuleType) -> list[str]:
    return [one.name for one in iter_modules(package.__path__) if not one.name.startswith("_")]


def _shown(module: str) -> str:
    """`linux_5_8` is linux-5.8."""
    word, _, version = module.partition("_")
    return f"{word}-{version.replace('_', '.')}" if word == "linux" else module.replace("_", "-")
