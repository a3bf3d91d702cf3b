"""What a live run is asked for, what is heard of it on the way, and what it comes to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from clusters.judge import Verdict
from clusters.lineup import AS_IT_IS, Lineup
from clusters.live.course import Course
from clusters.live.director import Followed
from clusters.live.reexecute import Match
from clusters.nemesis import Nemesis
from protocol.machine import Machine
from protocol.names import Name
from protocol.plan import Plan
from protocol.properties.property import Property


@dataclass(frozen=True, kw_only=True)
class LiveSetup:
    """What is run live.

    `seconds`: how long faults go on; None: until the guests have done their plans.  `lineup`
    says which revision and defects, `classes` by role which actors are of yet another class
    (`module:Class`), `toys` names a function that makes all of them.  `folder` gets `journals/`,
    `logs/` and `history.jsonl`.  `journal`: the server that has the journals until the run is over;
    "": they are in `folder` from the beginning.  `cluster` is the name of one of ours that is up.
    `hosts`: at most so many (0: as many as `placement` makes).  `disk_bytes`: the run ends when its
    folder has them (0: never).  `course`: a schedule that is followed, faults and all, in place of
    what happens by itself.
    """

    machine: Machine
    plans: dict[Name, Plan]
    seed: int
    folder: Path
    nemesis: tuple[Nemesis, ...] = ()
    placement: str = "packed"
    hosts: int = 0
    disk_bytes: int = 0
    keep_history: bool = True
    durability: str = "process"
    journal: str = ""
    seconds: float | None = None
    quiet_seconds: float = 60.0
    address: str = ""
    cluster: str = ""
    lineup: Lineup = AS_IT_IS
    classes: dict[str, str] = field(default_factory=dict)
    toys: str = ""
    properties: tuple[type[Property], ...] = ()
    experiment: str = ""
    run: str = ""
    course: Course | None = None


@dataclass(frozen=True)
class Progress:
    """How a run goes; `phase`: starting, running or following, quieting, re-executing."""

    phase: str
    seconds: float
    cluster: str = ""
    inputs: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LiveResult:
    """What a live run came to.  `reasons`: what keeps it from being known, beside the verdict's."""

    judged: Verdict
    match: Match
    quiet: bool
    interrupted: bool
    cluster: str
    history: Path
    counts: dict[str, int]
    faults: dict[str, int]
    reasons: tuple[str, ...]
    seconds: float
    followed: Followed | None = None


Report = Callable[[Progress], None]


def ignore(_progress: Progress) -> None:
    """Nobody wants to know."""
