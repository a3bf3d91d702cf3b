"""A simulated world as a space of states: what `World` runs along one schedule, searched along all.

The actors, their handlers, the properties and what the supervisor says are the same; only the way
of running them is another.  A state is a row of numbers of parts (`Parts`): the actors, their
inboxes, the faults so far, the memories of the properties.  A message is delivered by looking up
what it does; only what was never seen before is run.
"""

from typing import Final, TypeAlias

from clusters.cluster import openings
from clusters.sim.search.components import Parts, order_of, renamings
from clusters.sim.search.frozen import Ghost, freeze
from clusters.sim.search.inboxes import Head, Inboxes
from clusters.sim.search.inputs import Done, Inputs
from clusters.sim.search.judging import Judging
from clusters.sim.search.space import Key, Label
from clusters.sim.search.strikes import STAYS, Loss, Strikes
from clusters.sim.tape import Begin, Deliver, Fire, words
from clusters.sim.world import Setup
from protocol.errors import ExperimentError
from protocol.messages import HostLost
from protocol.names import SUPERVISOR, Name
from protocol.properties.property import Kind

State: TypeAlias = tuple[int, ...]
"""What the parts weigh together, the ghosts in them, what is violated, and the parts."""
TOTAL: Final = 0
GHOSTS: Final = 1
WRONG: Final = 2
"""The number of the violated property and 1; 0: none."""
ACTORS: Final = 3
"""Where the actors begin; then come their inboxes, the faults, the memories."""

Changes: TypeAlias = tuple[tuple[int, int], ...]
"""Places in a state, with what is there now."""
Move: TypeAlias = tuple[Label, Key, Changes]

GONE: Final = b""
"""Stands for an actor that is lost."""


class WorldSpace:
    """The space of a setup.

    `alike`: VMs whose names can be exchanged.  `booted`: what comes before the first operation of a
    guest happens in one order only (`boot` has its moves), and the search begins behind it.
    `told`: of a loss those learn at once who have nothing of the lost one on its way to them and
    none of its files.
    """

    def __init__(
        self,
        setup: Setup,
        alike: tuple[Name, ...] = (),
        *,
        booted: bool = False,
        told: bool = False,
    ) -> None:
        if setup.semantics.links:
            raise ExperimentError(
                f"network.semantics: '{setup.semantics.kind}' is not searched, only reliable links;"
                " portfolio, random, pct, pos and fail-nth have it"
            )
        actors = setup.actors()
        names = list(actors)
        self.name = setup.experiment
        self.setup = setup
        self.names = names
        self.parts = Parts(renamings(alike) if alike else ())
        self.judging = Judging(self.parts, setup.properties)
        self.inboxes = Inboxes(self.parts, names)
        self.strikes = Strikes(setup, self.parts, self.inboxes)
        watched, counts = self.strikes.watched, self.strikes.counts
        self.inputs = Inputs(self.parts, self.inboxes, self.judging, watched, counts)
        self.boot: list[Label] = []
        self._came: dict[str, None] = {}
        self._booted = booted
        self._told = told
        self._actors = actors
        self._inbox_at = ACTORS + len(names)
        self._faults_at = self._inbox_at + len(names)
        self._memory_at = self._faults_at + 1
        self._gone = [self.inputs.actor(name, freeze(None)) for name in names]
        self._empty = [self.inboxes.empty(at) for at in range(len(names))]
        self._at_rest = tuple(self._empty)

    # What the search asks.

    def initial(self) -> State:
        """After every actor's `Start`, before anything else."""
        parts: list[int] = []
        for name in self.names:
            actor = self._actors[name]
            if hasattr(actor, "incarnations"):
                actor.incarnations = Ghost(actor.incarnations)
            parts.append(self.inputs.actor(name, freeze(actor)))
        parts += [*self._empty, self.strikes.none()]
        parts += self.judging.initial(self.setup.machine, self.setup.properties)
        state: State = (0, 0, 0, *parts)
        state = (sum(map(self.parts.weights.__getitem__, parts)), self._ghosts(state), 0, *parts)
        for at, (_, message) in enumerate(openings(self.names)):
            item = self.inboxes.item(at, SUPERVISOR, message, 0)
            done = self.inputs.of(state[ACTORS + at], item)
            assert len(done) == 1, f"{self.names[at]} asks chance in its Start"
            inbox = state[self._inbox_at + at]
            state = self.after(state, self._step(state, at, inbox, done[0])[2])
        return self._boot(state) if self._booted else state

    def _boot(self, state: State) -> State:
        """The first actor that can, does, until all that is left begins an operation."""
        self.boot = []
        came: dict[str, None] = {}
        while True:
            for label, _, changes in self.moves(state):
                if self.channel(label) >= 0 and not self._begins(state, label):
                    self.boot.append(label)
                    state = self.after(state, changes)
                    break
            else:
                self._came |= came
                return state
            came |= self._came

    def _begins(self, state: State, label: Label) -> bool:
        """Whether the move begins an operation of a guest, or chance has a say in it."""
        delivery = self._delivery(state, label)
        assert delivery is not None, "a fault is no part of a boot"
        return delivery[1].begins or bool(self.inputs.labels.choices[label][1:])

    def key(self, state: State) -> Key:
        key = self._key(state[TOTAL], state[GHOSTS], state)
        return (key, state[WRONG]) if state[WRONG] else key

    def moves(self, state: State) -> list[Move]:
        found: list[Move] = []
        self._came = {}
        if state[WRONG]:
            return found
        heads, delivering = self.inboxes.heads, self.delivering
        for at, inbox in enumerate(state[self._inbox_at : self._faults_at]):
            for head in heads(inbox):
                delivering(state, at, head, found)
        return found + self.losing(state)

    def heads(self, state: State) -> dict[int, tuple[int, Head]]:
        """By channel what can be delivered, and to whom, in the order of the moves.

        Who looks at a state in this way has no moves of it yet, so nothing has come of them.
        """
        self._came = {}
        if state[WRONG]:
            return {}
        inboxes, heads = state[self._inbox_at : self._faults_at], self.inboxes.heads
        return {head.channel: (at, head) for at, one in enumerate(inboxes) for head in heads(one)}

    def delivering(self, state: State, at: int, head: Head, found: list[Move]) -> None:
        """Add the moves of one delivery."""
        item, rest, _ = head
        actor = state[ACTORS + at]
        for done in self.inputs.done.get((actor, item)) or self.inputs.of(actor, item):
            if done.passed and self.strikes.passing(state[self._faults_at], done.passed) < 0:
                continue
            found.append(self._step(state, at, rest, done))

    def losing(self, state: State) -> list[Move]:
        """The moves of faults that strike by themselves.

        At rest a world has ended, and nothing strikes any more.
        """
        if state[WRONG] or state[self._inbox_at : self._faults_at] == self._at_rest:
            return []
        losses = self.strikes.losing(state[self._faults_at], self.inputs)
        return [self._lose(state, loss) for loss in losses]

    def came(self) -> list[str]:
        return list(self._came)

    def after(self, state: State, step: Changes) -> State:
        row = list(state)
        for place, part in step:
            row[place] = part
        return tuple(row)

    def wrong(self, state: State) -> str:
        return self.judging.names[state[WRONG] - 1] if state[WRONG] else ""

    def owed(self, state: State) -> list[str]:
        owed: list[str] = []
        for index, kind in enumerate(self.judging.kinds):
            if kind is Kind.EVENTUALLY:
                said = self.judging.owed(index, state[self._memory_at + index])
                owed += [f"{self.judging.names[index]}: {sentence}" for sentence in said]
        return owed

    def channel(self, label: Label) -> int:
        return self.inputs.labels.channels[label]

    def independent(self, state: State, one: Label, other: Label) -> bool:
        first, second = self._delivery(state, one), self._delivery(state, other)
        if first is None or second is None or first[0] == second[0]:
            return False
        if first[1].passed or second[1].passed:
            return False
        observers = self.inputs.observers
        seen = [index for number in first[1].shown for index in observers[number]]
        return not any(index in seen for n in second[1].shown for index in observers[n])

    def words(self, label: Label) -> str:
        return ", ".join(map(words, self.inputs.labels.choices[label]))

    # One step.

    def _step(self, state: State, at: int, rest: int, done: Done) -> Move:
        """Actor `at` handles the head of its inbox, of which `rest` stays."""
        changed = {self._inbox_at + at: rest}
        if done.after != state[ACTORS + at]:
            changed[ACTORS + at] = done.after
        self._send(state, done.sent, changed)
        if done.passed:
            faults = state[self._faults_at]
            changed[self._faults_at] = self.strikes.passing(faults, done.passed)
        wrong = self._show_all(state, done.shown, changed)
        return self._finished(state, done.label, changed, wrong)

    def _lose(self, state: State, loss: Loss) -> Move:
        """An actor is gone: what was on its way to it vanishes, and the others are told."""
        at = loss.target
        changed = {self._faults_at: loss.faults}
        if at != STAYS:
            changed |= {ACTORS + at: self._gone[at], self._inbox_at + at: self._empty[at]}
        self._send(state, loss.sent, changed)
        wrong = self._show_all(state, loss.shown, changed)
        told = [*self.inputs.labels.choices[loss.label]]
        for to in loss.told if self._told else ():
            if wrong:
                break  # A world stops where something is violated.
            done = self._tell(state, to, self.names[at], changed)
            if done is not None:
                told.append(Deliver(SUPERVISOR, self.names[to]))
                wrong = self._show_all(state, done.shown, changed)
        return self._finished(state, self.inputs.labels.of(tuple(told)), changed, wrong)

    def _tell(self, state: State, to: int, lost: Name, changed: dict[int, int]) -> Done | None:
        """Who has nothing of the lost one on its way learns at once that it is lost.

        Unless chance has a say in what it then does: that is a move of its own.
        """
        inbox_at, gone = self._inbox_at, self._gone
        if state[ACTORS + to] == gone[to] or self.inboxes.has(state[inbox_at + to], lost):
            return None
        heads = self.inboxes.heads(changed[inbox_at + to])
        for item, rest, _ in heads:
            if self.inboxes.items[item].message == HostLost(lost):
                done, *others = self.inputs.of(state[ACTORS + to], item)
                if others or done.passed:
                    return None
                changed[inbox_at + to] = rest
                changed[ACTORS + to] = done.after
                self._send(state, done.sent, changed)
                return done
        return None

    def _send(
        self,
        state: State,
        sent: tuple[tuple[int, tuple[int, ...]], ...],
        changed: dict[int, int],
    ) -> None:
        put, gone, inbox_at = self.inboxes.put, self._gone, self._inbox_at
        for to, items in sent:
            if state[ACTORS + to] != gone[to]:
                place = inbox_at + to
                inbox = changed.get(place)
                changed[place] = put(state[place] if inbox is None else inbox, items)

    def _finished(self, state: State, label: Label, changed: dict[int, int], wrong: int) -> Move:
        """The key is brought up to date."""
        weights, ghosts_of = self.parts.weights, self.parts.ghosts
        total, went, came = state[TOTAL], 0, 0
        for place, part in changed.items():
            was = state[place]
            total += weights[part] - weights[was]
            came |= ghosts_of[part]
            went |= ghosts_of[was]
        changed[TOTAL] = total
        ghosts = state[GHOSTS] | came
        if went & ~came:
            ghosts = self._ghosts(self.after(state, tuple(changed.items())))
        if ghosts != state[GHOSTS]:
            changed[GHOSTS] = ghosts
        if wrong:
            changed[WRONG] = wrong
        changes = tuple(changed.items())
        key: Key = self.parts.key(total)
        if ghosts & (ghosts + 1):
            key = self._key(total, ghosts, self.after(state, changes))
        return label, (key, wrong) if wrong else key, changes

    def _show_all(self, state: State, shown: tuple[int, ...], changed: dict[int, int]) -> int:
        """The properties see what happened; the first that is violated, as `_show` says it."""
        wrong = 0
        for number in shown:
            said = self._show(state, number, changed)
            wrong = wrong or said
        return wrong

    def _show(self, state: State, number: int, changed: dict[int, int]) -> int:
        """The memories after what is shown; the violated property's number and 1, or 0."""
        wrong = 0
        judging, memory_at, shown = self.judging, self._memory_at, self.inputs.shown[number]
        for index in self.inputs.observers[number]:
            place = memory_at + index
            before = changed.get(place) or state[place]
            after, said = judging.see(index, before, number, shown)
            if after != before:
                changed[place] = after
            if said:
                if judging.kinds[index] is Kind.SOMETIMES:
                    self._came[judging.names[index]] = None
                elif not wrong:
                    wrong = index + 1
        return wrong

    # Keys.

    def _ghosts(self, state: State) -> int:
        ghosts, ghosts_of = 0, self.parts.ghosts
        for part in state[ACTORS:]:
            ghosts |= ghosts_of[part]
        return ghosts

    def _key(self, total: int, ghosts: int, state: State) -> Key:
        """With the ghosts numbered 1, 2, 3 in their order, if some are forgotten."""
        if ghosts & (ghosts + 1):
            order, renumbered = order_of(ghosts), self.parts.renumbered
            total = sum(renumbered(part, order) for part in state[ACTORS:])
        return self.parts.key(total)

    def _delivery(self, state: State, label: Label) -> tuple[int, Done] | None:
        """The receiver and the case of a delivery; None for a fault."""
        first = self.inputs.labels.choices[label][0]
        if not isinstance(first, Deliver | Fire):
            assert isinstance(first, Begin), f"{first} begins no move"
            return None
        at = self.names.index(first.destination if isinstance(first, Deliver) else first.actor)
        for item, _, _ in self.inboxes.heads(state[self._inbox_at + at]):
            for done in self.inputs.of(state[ACTORS + at], item):
                if done.label == label:
                    return at, done
        return None
