"""Faults in a search: what may strike in a state, and what it does.

Every order of deliveries is searched, so a fault that only delays (crash, pause, and those
of reliable links) is an order like any other, and left out.  `lose`, `remove`, `reset` and
`amnesia` strike at any moment, a `fail` at any passage of its site, each so often as its plan says:
`times`, and once where the plan sets no bound; with `nth` at that passage and no other.
"""

from typing import Final, NamedTuple

from clusters.cluster import losses
from clusters.nemesis import OF_LINKS, Nemesis, candidates, passes, roles_of
from clusters.sim.search.components import Parts
from clusters.sim.search.frozen import freeze
from clusters.sim.search.handling import Passage
from clusters.sim.search.inboxes import Inboxes
from clusters.sim.search.inputs import Inputs
from clusters.sim.search.judging import Shown
from clusters.sim.search.space import Label
from clusters.sim.tape import Begin
from clusters.sim.world import Setup
from protocol.facts import Event
from protocol.facts.process import VmExited
from protocol.facts.world import FaultBegun, HostGone
from protocol.messages import ReleaseFds, ResetFunction
from protocol.messages.amnesia import Forget
from protocol.names import SUPERVISOR, Name

DELAYS: Final = ("crash", "pause", *OF_LINKS)
STRIKES: Final = {"lose": "lost", "remove": "removed", "reset": "reset", "amnesia": "forgetful"}
"""What strikes by itself, with what becomes of whom it hits."""
STAYS: Final = -1
"""In the place of whom a fault takes away, where it takes nobody."""


class Struck(NamedTuple):
    """How often each nemesis has struck, and who is lost, in the order of the names."""

    counts: tuple[int, ...]
    lost: tuple[Name, ...]


class Loss(NamedTuple):
    """What a fault that strikes an actor does: to the faults, to inboxes, and what is shown.

    `target`: who is gone (`STAYS`: nobody); `told`: who learns of it and has none of its files.
    """

    label: Label
    target: int
    faults: int
    sent: tuple[tuple[int, tuple[int, ...]], ...]
    told: tuple[int, ...]
    shown: tuple[int, ...]


class Strikes:
    """`bounds` says how often each nemesis may strike; those that only delay may not."""

    __slots__ = (
        "_inboxes", "_inputs", "_losses", "_names", "_narrowest", "_parts", "_roles", "_setup",
        "_struck",
        "_targets", "bounds",
    )  # fmt: skip

    def __init__(self, setup: Setup, parts: Parts, inboxes: Inboxes) -> None:
        names = inboxes.names
        self._setup = setup
        self._parts = parts
        self._inboxes = inboxes
        self._names = names
        self._roles = roles_of(setup.machine, names)
        self._struck: dict[int, Struck] = {}
        self._losses: dict[int, tuple[Loss, ...]] = {}
        self._targets = [
            candidates(nemesis, self._roles)[0] if nemesis.fault in STRIKES else []
            for nemesis in setup.nemeses
        ]
        self.bounds = [self._bound(nemesis) for nemesis in setup.nemeses]
        self._narrowest = sorted(enumerate(setup.nemeses), key=lambda one: not one[1].target)
        """A plan that is meant for some is used up before one that is meant for whoever comes."""

    def _bound(self, nemesis: Nemesis) -> int:
        if nemesis.fault in DELAYS:
            return 0
        times = nemesis.times or 1
        return times * candidates(nemesis, self._roles)[1] if nemesis.fault in STRIKES else times

    def none(self) -> int:
        """The part of a state in which nothing has struck."""
        return self._number(Struck((0,) * len(self._setup.nemeses), ()))

    def _number(self, struck: Struck) -> int:
        content = freeze((struck.counts, dict.fromkeys(struck.lost)), ordered=False)
        number = self._parts.number("faults", content, ordered=False)
        self._struck[number] = struck
        return number

    # A fallible step.

    def watched(self, actor: Name, site: str) -> int:
        """How many answers there are to whether this step of this actor fails; 0: nobody asks."""
        named = [nemesis for nemesis in self._setup.nemeses if nemesis.site == site]
        if not named:
            return 0
        return 2 if any(passes(nemesis, self._roles, actor) for nemesis in named) else 1

    def counts(self, actor: Name, site: str) -> bool:
        """Whether every passage of this step counts, also one that does not fail."""
        return any(
            nemesis.nth and nemesis.site == site and passes(nemesis, self._roles, actor)
            for nemesis in self._setup.nemeses
        )

    def passing(self, faults: int, passed: tuple[Passage, ...]) -> int:
        """The faults after these passages; -1: so they cannot be passed."""
        counts, lost = self._struck[faults]
        counted = list(counts)
        for one in passed:
            if one.failed is not (self._due(one, counted) or self._spent(one, counted)):
                return -1
        return self._number(Struck(tuple(counted), lost))

    def _due(self, one: Passage, counted: list[int]) -> bool:
        """Counts a passage; whether it is the one that some plan is about."""
        due = False
        for index, nemesis in self._narrowest:
            mine = nemesis.site == one.site and passes(nemesis, self._roles, one.actor)
            if mine and nemesis.nth and counted[index] < nemesis.nth:
                counted[index] += 1
                due = due or counted[index] == nemesis.nth
        return due

    def _spent(self, one: Passage, counted: list[int]) -> bool:
        """Whether a plan that is about any passage has let this one fail."""
        for index, nemesis in self._narrowest if one.failed else ():
            mine = nemesis.site == one.site and passes(nemesis, self._roles, one.actor)
            if mine and not nemesis.nth and counted[index] < self.bounds[index]:
                counted[index] += 1
                return True
        return False

    # A loss.

    def losing(self, faults: int, inputs: Inputs) -> tuple[Loss, ...]:
        """Every actor that can be struck now."""
        found = self._losses.get(faults)
        if found is None:
            struck, made = self._struck[faults], []
            for index, targets in enumerate(self._targets):
                if struck.counts[index] < self.bounds[index]:
                    stays = self._setup.nemeses[index].fault in ("reset", "amnesia")
                    strike = self._told if stays else self._loss
                    made += [
                        strike(struck, index, target, inputs)
                        for target in targets
                        if target not in struck.lost
                    ]
            found = self._losses[faults] = tuple({loss.label: loss for loss in made}.values())
        return found

    def _told(self, struck: Struck, index: int, target: Name, inputs: Inputs) -> Loss:
        """Nobody is gone: a message is on its way to whom it hits."""
        fault = self._setup.nemeses[index].fault
        counts = tuple(count + (at == index) for at, count in enumerate(struck.counts))
        at = self._names.index(target)
        message = ResetFunction() if fault == "reset" else Forget(struck.lost)
        item = self._inboxes.item(at, SUPERVISOR, message, 0)
        begun = FaultBegun(fault, target)
        return Loss(
            label=inputs.labels.of((Begin(fault, target),)),
            target=STAYS,
            faults=self._number(Struck(counts, struck.lost)),
            sent=((at, (item,)),),
            told=(),
            shown=inputs.show(Shown(SUPERVISOR, "", 0, "", 0, (begun,))),
        )

    def _loss(self, struck: Struck, index: int, target: Name, inputs: Inputs) -> Loss:
        counts = tuple(count + (at == index) for at, count in enumerate(struck.counts))
        fault = self._setup.nemeses[index].fault
        living = [name for name in self._names if name != target and name not in struck.lost]
        said = losses(self._setup.machine, target, living)
        facts: list[tuple[Name, Event]] = [
            (SUPERVISOR, FaultBegun(fault, target)),
            (target, HostGone()),
        ]
        vms = dict.fromkeys(m.vm for _, m in said if isinstance(m, ReleaseFds))
        facts += [(SUPERVISOR, VmExited(vm)) for vm in vms]
        sent: dict[int, list[int]] = {}
        for name, message in said:
            at = self._names.index(name)
            sent.setdefault(at, []).append(self._inboxes.item(at, SUPERVISOR, message, 0))
        told = tuple(to for to, items in sent.items() if len(items) == 1)
        shown = [inputs.show(Shown(actor, "", 0, "", 0, (fact,))) for actor, fact in facts]
        return Loss(
            label=inputs.labels.of((Begin(fault, target),)),
            target=self._names.index(target),
            faults=self._number(Struck(counts, tuple(sorted([*struck.lost, target])))),
            sent=tuple((to, tuple(items)) for to, items in sent.items()),
            told=told,
            shown=tuple(number for one in shown for number in one),
        )
