"""Links by name: which of them a fault means, and what an experiment lets links do to messages.

A link goes one way.  `vfio -> iommu` is one of them, `vfio <-> iommu` are two, `*` is everybody;
`core -> *` are all that begin at the core.  Links to and from hardware stay in order and reliable,
as posted PCIe writes are, and so does what the supervisor says: that is the world itself.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from protocol.errors import ExperimentError, nearest
from protocol.names import SUPERVISOR, Name

ARROW: Final = " -> "
BOTH: Final = " <-> "
ANY: Final = "*"
HARDWARE: Final = ("device", "unit")
"""Roles of those whose links nothing can be done to but to delay them."""

Pair: TypeAlias = tuple[Name, Name]
"""Source and destination, or `*` in the place of one."""

SEMANTICS: Final = {
    "reliable": "each message exactly once, in order per link",
    "at-least-once": "a message may come again, at any time later",
    "at-most-once": "a message may be lost",
    "any-order": "a message may overtake those before it",
}
PROBABILITY: Final = 0.1


class Semantics(Struct, frozen=True):
    """What named links do to messages, so that the actors see it; the others are reliable.

    An end of a link is an actor, a role or `*`.  Each message is lost, or comes again, with
    `probability`; in any order, whichever message waits may come next.
    """

    kind: str = "reliable"
    links: tuple[str, ...] = ()
    probability: float = PROBABILITY


RELIABLE: Final = Semantics()


def is_link(target: str) -> bool:
    """Whether it names links, and not an actor."""
    return ARROW in target or BOTH in target


def split(target: str) -> list[str]:
    """Both ends of a link, or the one actor."""
    return target.split(BOTH if BOTH in target else ARROW, 1)


def ends(target: str) -> list[Name]:
    """The actors that a fault's target names."""
    return [end for end in split(target) if end != ANY]


def renamed(text: str, one: Callable[[Name], Name]) -> str:
    """A target, or a link, with its actors called otherwise."""
    between = BOTH if BOTH in text else ARROW
    return between.join([one(end) for end in text.split(between)])


def pairs(fault: str, target: str) -> tuple[Pair, ...]:
    """What a fault's target means: of an actor all links to it, of a partition also those from it.

    "" are all links.
    """
    if not target:
        return ((ANY, ANY),)
    if is_link(target):
        source, destination = split(target)
        back = [(destination, source)] if BOTH in target else []
        return ((source, destination), *back)
    from_it = [(target, ANY)] if fault == "partition" else []
    return ((ANY, target), *from_it)


def covers(found: Iterable[Pair], source: Name, destination: Name) -> bool:
    """Whether the link is one of those."""
    return any(one in (source, ANY) and other in (destination, ANY) for one, other in found)


def solid(roles: Mapping[Name, str]) -> frozenset[Name]:
    """Whose links nothing can be done to but to delay them."""
    return frozenset([SUPERVISOR, *(name for name, role in roles.items() if role in HARDWARE)])


def loose_pairs(semantics: Semantics, roles: Mapping[Name, str]) -> frozenset[Pair]:
    """The links that are not reliable, actor by actor."""
    software = [name for name, role in roles.items() if role not in HARDWARE]

    def named(end: str) -> list[Name]:
        return [name for name in software if end in (name, roles[name], ANY)]

    return frozenset(
        (one, other)
        for link in semantics.links
        for source, destination in pairs("", link)
        for one in named(source)
        for other in named(destination)
        if one != other
    )


def check_semantics(semantics: Semantics, roles: Mapping[Name, str], where: str) -> None:
    """Refuse what links cannot do, in one sentence that says where."""
    kind = semantics.kind
    if kind not in SEMANTICS:
        raise ExperimentError(
            f"{where}.semantics: '{kind}' is not a network semantics ({', '.join(SEMANTICS)})"
        )
    if not 0.0 <= semantics.probability <= 1.0:
        raise ExperimentError(f"{where}.probability: {semantics.probability} is not in [0, 1]")
    if (kind == "reliable") is not (not semantics.links):
        raise ExperimentError(
            f"{where}.links: links that are reliable need no name"
            if kind == "reliable"
            else f"{where}.links: name those that are {kind}, such as 'guest -> vfio'"
        )
    for k, link in enumerate(semantics.links):
        place = f"{where}.links[{k}]"
        if not is_link(link):
            raise ExperimentError(f"{place}: '{link}' names no link, as 'guest -> vfio' does")
        check_ends(link, [*roles, *roles.values()], roles, place)
        if not loose_pairs(Semantics(kind, (link,)), roles):
            raise ExperimentError(f"{place}: '{link}' is a link of nobody to anybody else")


def check_ends(link: str, there: Collection[str], roles: Mapping[Name, str], where: str) -> None:
    """Each end must be one of `there`, and software."""
    for end in ends(link):
        if end not in there:
            raise ExperimentError(f"{where}: '{end}' is not an actor{nearest(end, there)}")
        if roles.get(end, end) in HARDWARE:
            raise ExperimentError(
                f"{where}: '{end}' is hardware; links to and from it stay in order and reliable"
            )
