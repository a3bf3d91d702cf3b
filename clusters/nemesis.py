"""Faults as a value: what may go wrong, where and how often.  The same in both worlds.

A `Nemesis` is one table of an experiment file.  What it does is the worlds' affair; whom it may hit
is said here, and what is wrong with it, before anything runs.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from clusters.cluster import Actor, Role, names, refuse_amnesia, refuse_loss
from clusters.links import ANY, ARROW, BOTH, check_ends, is_link, split
from protocol.errors import ExperimentError, nearest
from protocol.machine import Machine
from protocol.names import Name

FAULTS: Final = {
    "crash": "dies, comes back by its journal: to the protocol only a delay",
    "amnesia": "dies, comes back empty, and asks peers and hardware what it knew (KVM only)",
    "lose": "dies and never comes back; the supervisor tells the others",
    "pause": "handles nothing for a while",
    "partition": "messages do not get through for a while, both ways or one",
    "delay": "messages wait a while on their link",
    "duplicate": "a message is sent twice, below the link layer",
    "drop": "a message is lost, below the link layer",
    "fail": "a fallible step fails with the errno that the kernel gives there",
    "remove": "the device is pulled out: its invalidations time out, and it never comes back",
    "reset": "the function is reset: what is in the device ends, what it is owed it forgets",
    "raylet-kill": "a node's raylet is killed: Ray gives the node up; it is started again later",
    "node-pause": "every process of a node stops; Ray may give it up and start its hosts elsewhere",
    "node-off": "every process of a node dies at once; it is started again later",
    "node-cut": "a node's wire is pulled (lab only): alive, and unheard",
    "gcs-kill": "what knows the whole Ray cluster is killed, and comes back from its disk",
    "head-off": "every process of the head dies at once; it comes back from its disk",
}
OF_DEVICES: Final = ("remove", "reset")
"""Those that only a device can suffer."""
OF_LINKS: Final = ("partition", "delay", "duplicate", "drop")
"""Those that hit links; all but a delay spare what is to and from hardware."""
OF_NODES: Final = ("raylet-kill", "node-pause", "node-off", "node-cut", "gcs-kill", "head-off")
"""Those that hit a node of the cluster that hosts run on: there is none in the simulator."""
OF_HEAD: Final = ("gcs-kill", "head-off")
"""Those whom they hit needs no saying."""
NODE: Final = re.compile(r"[a-z][a-z0-9-]{0,11}")
BY_CHANCE: Final = ("duplicate", "drop")
"""Those that hit, while they last, each message of their links with a probability."""
HALF: Final = 0.5
"""That probability, if none is said."""
MODES: Final = ("one", "minority", "majority", "all")


class Nemesis(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A fault, whom it hits, how often, how long.

    `target` is an actor, or `one`, `minority`, `majority` or `all` of a role (`all vdcm`; a bare
    role means one); for a fault of links also `vfio -> iommu`, `vfio <-> iommu`, `core -> *` or
    `all guest -> vfio`, else all links to the target, of a `partition` those from it, too; for
    `fail` "" is whoever passes `site`.  It begins after a number of steps drawn from `every_steps`,
    again and again (`times` at most, 0: no bound), and is healed after `lasts_steps`; the
    seconds are for the live world.

    `fail`: the `nth` passage of the site fails (1 is the first), or each with `probability`, or, if
    neither is said, the next one after `every_steps`.  A fault of nodes hits hosts where they
    are then: `target` is a node (`n1`), or `one`, `minority`, `majority` or `all` of those with
    hosts (`""`: one).  `delay`: a message waits `wait_steps` at the
    head of its link.  `drop` and `duplicate`: each message with `probability`, or every second one;
    what was dropped is sent again after `wait_steps`.  `pause`: if it is `replaced`, a live host
    has somebody else in its place when it wakes, and can do nothing any more.
    """

    fault: str
    target: str = ""
    every_steps: tuple[int, int] = (50, 200)
    every_seconds: tuple[float, float] = (2.0, 10.0)
    lasts_steps: tuple[int, int] = (1, 50)
    lasts_seconds: tuple[float, float] = (0.1, 2.0)
    site: str = ""
    nth: int = 0
    probability: float = 0.0
    wait_steps: tuple[int, int] = (1, 20)
    times: int = 0
    wait_seconds: tuple[float, float] = (0.05, 0.5)
    replaced: bool = False


def candidates(nemesis: Nemesis, roles: Mapping[Name, Role]) -> tuple[list[Name], int]:
    """Whom it may hit, in order, and how many of them at once; ([], 0): the target says nobody."""
    target = nemesis.target
    if nemesis.fault not in OF_LINKS or not is_link(target):
        return _named(target, roles)
    between = BOTH if BOTH in target else ARROW
    sources, destinations = (
        ([ANY], 1) if end == ANY else _named(end, roles) for end in split(target)
    )
    if 1 not in (len(sources[0]), len(destinations[0])):
        return [], 0  # Of two kinds nobody could say which pairs are a minority.
    found = [f"{one}{between}{other}" for one in sources[0] for other in destinations[0]]
    return found, sources[1] * destinations[1]


def _named(target: str, roles: Mapping[Name, Role]) -> tuple[list[Name], int]:
    if target in roles:
        return [target], 1
    mode, _, role = target.partition(" ") if " " in target else ("one", "", target)
    found = [name for name, its in roles.items() if its == role]
    if mode not in MODES or not found:
        return [], 0
    return found, _at_once(mode, len(found))


def _at_once(mode: str, count: int) -> int:
    at_once = {"one": 1, "minority": (count - 1) // 2, "majority": count // 2 + 1, "all": count}
    return at_once[mode]


def node_candidates(target: str, nodes: Sequence[Name]) -> tuple[list[Name], int]:
    """Which nodes it may hit, and how many of them at once; ([], 0): there is none of that name."""
    mode = target or "one"
    if mode not in MODES:
        return ([target], 1) if target in nodes else ([], 0)
    return list(nodes), _at_once(mode, len(nodes))


def begins(nemesis: Nemesis) -> bool:
    """Whether it begins from time to time, and does not wait for passages of its site."""
    return nemesis.fault != "fail" or not (nemesis.nth or nemesis.probability)


def passes(nemesis: Nemesis, roles: Mapping[Name, Role], actor: Name) -> bool:
    """Whether a `fail` is meant for this actor's passages of its site."""
    return not nemesis.target or actor in candidates(nemesis, roles)[0]


def check(nemesis: Nemesis, machine: Machine, actors: Mapping[Name, Actor], where: str) -> None:
    """Refuse what cannot be done, in one sentence that says where."""
    roles = roles_of(machine, actors)
    if nemesis.fault not in FAULTS:
        raise ExperimentError(
            f"{where}.fault: '{nemesis.fault}' is not a fault{nearest(nemesis.fault, FAULTS)}"
            f" (faults: {', '.join(FAULTS)})"
        )
    _check_ranges(nemesis, where)
    if nemesis.fault in OF_NODES:
        _check_node(nemesis, where)
        return
    if nemesis.fault == "fail":
        _check_site(nemesis, roles, actors, where)
        if not nemesis.target:
            return
    if nemesis.fault in OF_LINKS and is_link(nemesis.target):
        _check_link(nemesis, roles, f"{where}.target")
        return
    found, at_once = candidates(nemesis, roles)
    if not found:
        raise ExperimentError(
            f"{where}.target: '{nemesis.target}' is neither an actor nor a role"
            f"{nearest(nemesis.target.rpartition(' ')[2], [*roles, *roles.values()])}"
            f" (roles: {', '.join(dict.fromkeys(roles.values()))}; {', '.join(MODES)} of one)"
        )
    if not at_once:
        raise ExperimentError(
            f"{where}.target: '{nemesis.target}' is nobody: there are {len(found)} of them"
        )
    for name in found:
        if nemesis.fault in OF_DEVICES and roles[name] != "device":
            raise ExperimentError(
                f"{where}.target: {name} is no device; only a device can suffer '{nemesis.fault}'"
            )
        if nemesis.fault in OF_LINKS and nemesis.fault != "delay":
            check_ends(name, roles, roles, f"{where}.target")
        if nemesis.fault == "lose":
            refuse_loss(name, actors[name])
        if nemesis.fault == "amnesia":
            refuse_amnesia(name, actors)


def roles_of(machine: Machine, actors: Iterable[Name]) -> dict[Name, Role]:
    """The role of each actor; one that is not of the machine stands for itself."""
    known = names(machine)
    return {name: known.get(name, name) for name in actors}


def _check_ranges(nemesis: Nemesis, where: str) -> None:
    pairs: dict[str, tuple[float, float]] = {
        "every_steps": nemesis.every_steps,
        "every_seconds": nemesis.every_seconds,
        "lasts_steps": nemesis.lasts_steps,
        "lasts_seconds": nemesis.lasts_seconds,
        "wait_steps": nemesis.wait_steps,
        "wait_seconds": nemesis.wait_seconds,
    }
    for key, (low, high) in pairs.items():
        if not 0 <= low <= high:
            raise ExperimentError(f"{where}.{key}: [{low}, {high}] is not a range from 0 up")
    if nemesis.every_steps[0] < 1:
        raise ExperimentError(f"{where}.every_steps: at least 1")
    if not 0.0 <= nemesis.probability <= 1.0:
        raise ExperimentError(f"{where}.probability: {nemesis.probability} is not in [0, 1]")
    if nemesis.nth < 0 or nemesis.times < 0:
        raise ExperimentError(f"{where}: nth and times count from 0")
    if nemesis.fault != "fail" and (nemesis.site or nemesis.nth):
        raise ExperimentError(f"{where}: site and nth are of 'fail' only")
    if nemesis.replaced and nemesis.fault != "pause":
        raise ExperimentError(f"{where}.replaced: is of pause only, not of {nemesis.fault}")
    if nemesis.fault not in ("fail", *BY_CHANCE) and nemesis.probability:
        raise ExperimentError(
            f"{where}.probability: is of {', '.join(BY_CHANCE)} and fail, not of {nemesis.fault}"
        )


def _check_node(nemesis: Nemesis, where: str) -> None:
    if nemesis.fault in OF_HEAD and nemesis.target:
        raise ExperimentError(f"{where}.target: '{nemesis.fault}' hits the head; say no target")
    if nemesis.target and not NODE.fullmatch(nemesis.target):
        raise ExperimentError(
            f"{where}.target: '{nemesis.target}' is not a node (n1, n2, ...;"
            f" or {', '.join(MODES)} of them)"
        )


def _check_link(nemesis: Nemesis, roles: Mapping[Name, Role], where: str) -> None:
    for end in split(nemesis.target):
        if end != ANY and not _named(end, roles)[0]:
            there = [*roles, *roles.values()]
            hint = nearest(end.rpartition(" ")[2], there)
            raise ExperimentError(f"{where}: '{end}' is not an actor or a role{hint}")
    found, at_once = candidates(nemesis, roles)
    if not found:
        raise ExperimentError(f"{where}: '{nemesis.target}' has some of a role on both sides")
    if not at_once:
        raise ExperimentError(f"{where}: '{nemesis.target}' is nobody: too few for a minority")
    for link in found:
        source, destination = split(link)
        if source == destination != ANY:
            raise ExperimentError(f"{where}: '{link}' goes from {source} to itself")
        # A delay may hit any link.
        check_ends(link, roles, {} if nemesis.fault == "delay" else roles, where)


def _check_site(
    nemesis: Nemesis, roles: Mapping[Name, Role], actors: Mapping[Name, Actor], where: str
) -> None:
    sites = [
        site.name
        for name, actor in actors.items()
        if passes(nemesis, roles, name)
        for site in actor.SITES
    ]
    if nemesis.site not in sites:
        said = ", ".join(dict.fromkeys(sites)) or "none"
        raise ExperimentError(
            f"{where}.site: '{nemesis.site}' is not a fallible step"
            f"{nearest(nemesis.site, sites)} (sites of the target: {said})"
        )
