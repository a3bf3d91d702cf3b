"""A simulated cluster: all actors in one process, and every choice made by a schedule (§6).

A `World` is a value in plain fields: hosts, the messages on their links, the faults that last, and
the choices so far.  One call of `deliver` is one step.  The same setup and the same choices give
the same history, in every process and every version of Python.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from weakref import proxy

from msgspec import Struct

from clusters.cluster import Actor, ActorClass, Role, build, openings
from clusters.host import Host, delivered_fact, message_id, sent_fact, whole
from clusters.judge import Judge
from clusters.lineup import AS_IT_IS, Lineup
from clusters.links import RELIABLE, Pair, Semantics, check_semantics, loose_pairs, solid
from clusters.moments import STEP_NS, stamp_of
from clusters.nemesis import Nemesis, check, roles_of
from clusters.sim import mishaps
from clusters.sim.faults import Faults, Healable, check_heal
from clusters.sim.network import CLOSED, Network
from clusters.sim.restless import busiest
from clusters.sim.run_result import RunResult
from clusters.sim.strategies import Lesson, Order, Strategy, make, prepared
from clusters.sim.tape import Begin, Book, Choice, Draw, Fail, Heal, words
from protocol.effects import Send
from protocol.facts import Event, RunEnded, RunStarted
from protocol.history import HISTORY_FORMAT, Record, Stamp
from protocol.machine import Machine
from protocol.messages import AnyMessage, HostLost, TimerFired
from protocol.names import SUPERVISOR, Name
from protocol.plan import Plan
from protocol.properties.property import Property

History = Callable[[Record], None]
"""Where records go: a list's `append`, or a writer."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is simulated, but for strategy and seed.

    `lineup` says which revision and defects; `classes` by role which actors are of yet another
    class; `cast` makes all of them, in place of `build`.  Faults go on for `max_steps`, or until
    nothing else can happen; then what may `heal` does, and `quiet_steps` are given to come to rest.
    `stop_at_first`: a violation ends the run.
    """

    machine: Machine
    plans: Mapping[Name, Plan] = field(default_factory=dict)
    lineup: Lineup = AS_IT_IS
    classes: Mapping[Role, ActorClass] = field(default_factory=dict)
    cast: Callable[[], dict[Name, Actor]] | None = None
    properties: tuple[type[Property], ...] = ()
    nemeses: tuple[Nemesis, ...] = ()
    max_steps: int = 10_000
    quiet_steps: int = 10_000
    heal: Healable = True
    stop_at_first: bool = True
    delay_steps: tuple[int, int] = (0, 0)
    semantics: Semantics = RELIABLE
    experiment: str = ""
    run: str = ""
    _common: "list[Common]" = field(default_factory=list, init=False, repr=False, compare=False)

    def actors(self) -> dict[Name, Actor]:
        """All actors, new."""
        if self.cast is not None:
            return self.cast()
        return build(self.machine, self.plans, {**self.lineup.classes(), **self.classes})

    def common(self, actors: Mapping[Name, Actor]) -> "Common":
        """What its worlds have in common, checked when the first of them is made."""
        if not self._common:
            for index, nemesis in enumerate(self.nemeses):
                check(nemesis, self.machine, actors, f"nemesis[{index}]")
            roles = roles_of(self.machine, actors)
            check_semantics(self.semantics, roles, "network")
            check_heal(self.heal, roles, "heal")
            sites = {nemesis.site for nemesis in self.nemeses if nemesis.site}
            crashes = any(nemesis.fault in ("crash", "amnesia") for nemesis in self.nemeses)
            loose = (self.semantics.kind, loose_pairs(self.semantics, roles))
            self._common.append(Common(roles, sites, solid(roles), loose, journals=crashes))
        return self._common[0]


class Common(Struct, frozen=True):
    """What all worlds of a setup read and none changes.  `journals`: hosts have to keep one."""

    roles: dict[Name, Role]
    watched: set[str]
    solid: frozenset[Name]
    loose: tuple[str, frozenset[Pair]]
    journals: bool


class World:
    """One run.  `step` counts deliveries; `final`: faults are over and all is healed."""

    __slots__ = (
        "__weakref__", "_observed", "_serial", "_stopped", "book", "faults", "final",
        "history", "hosts", "judge", "network", "passages", "roles", "setup", "step", "strategy",
        "watched",
    )  # fmt: skip

    def __init__(self, setup: Setup, strategy: Strategy, history: History | None = None) -> None:
        actors = setup.actors()
        common = setup.common(actors)
        self.setup = setup
        self.strategy = strategy
        self.history = history
        self.roles = common.roles
        # What is in a world does not keep it: a world is gone at once when nobody has it.
        this: World = proxy(self)
        self.hosts = {name: Host(name, actor, this) for name, actor in actors.items()}
        if common.journals:
            for host in self.hosts.values():
                host.keep_journal()
        self.network = Network(self.hosts, common.solid, common.loose)
        if setup.delay_steps != (0, 0):
            self.network.delay("", setup.delay_steps)
        self.judge = Judge(setup.machine, setup.properties)
        self.faults = Faults(this)
        self.book = Book()
        self.passages: dict[tuple[Name, str], int] = {}
        """How often each fallible step was passed."""
        self.watched = common.watched
        """Sites that the fault plan names; others never fail, and that is no choice."""
        self.step = 0
        self.final = False
        self._stopped = False
        self._serial = 0
        """Counts what the supervisor says, for its stamps."""
        self._observed = self.judge.observed
        if history is None and not setup.properties:
            for host in self.hosts.values():
                host.stamped = False

    # The run.

    def run(self) -> RunResult:
        """From the first `Start` until nothing is left to happen, a violation, or out of steps."""
        setup, network = self.setup, self.network
        self._start()
        enabled, entries, book = network.enabled, self.book.entries, self.book
        choose, deliver = self.strategy.choose, self.deliver
        limit = setup.max_steps
        while not self._stopped:
            if network.wake:
                network.awake(self.step)
            if not enabled:
                if self._stir():
                    continue
                break
            if self.step >= limit:
                if self.final:
                    break
                self._calm()
                limit = self.step + setup.quiet_steps
                continue
            entry = choose(self)
            entries.append(entry)
            if entry >= 0:
                deliver(entry)
            else:
                self._fault(book.choices[~entry])
        quiet = not (self._stopped or enabled)
        return self._result(quiet=quiet)

    def stop(self) -> None:
        """This step is the last."""
        self._stopped = True

    def _start(self) -> None:
        setup = self.setup
        self.state(
            RunStarted(
                format=HISTORY_FORMAT,
                experiment=setup.experiment,
                run=setup.run,
                seed=self.strategy.seed,
                world="sim",
                revision=setup.lineup.title,
                machine=setup.machine,
            )
        )
        for name, message in openings(self.hosts):
            self.tell(name, message)
            self.deliver(self.network.routes[SUPERVISOR][name])

    def _stir(self) -> bool:
        """Nothing can be delivered: let time pass until something can; False: all is quiet."""
        if self.network.wake:
            return self.network.awake(self.network.wake[0][0])
        return self.faults.heal_oldest()

    def _calm(self) -> None:
        """The faulty phase is over."""
        self.final = True
        while self.faults.heal_oldest():
            pass

    def _fault(self, choice: Choice) -> None:
        match choice:
            case Begin(fault, target):
                self.faults.begin(fault, target)
            case Heal(fault, target):
                self.faults.heal(fault, target)
            case _:
                raise AssertionError(f"{choice} is not a fault")

    def _result(self, *, quiet: bool) -> RunResult:
        busy = "" if quiet or self._stopped else busiest(self)
        verdict = self.judge.finish(quiet=quiet, step=self.step, busy=busy)
        self._say_news(None)
        self.state(RunEnded(quiet, self.step))
        return RunResult(self, verdict, quiet=quiet)

    # One step.

    def deliver(self, slot: int) -> None:
        """The oldest message of the slot is handled; what that sends is on its way."""
        network = self.network
        queue = network.queues[slot]
        loose = network.loose
        message, origin, k = mishaps.pick(self, slot) if slot in loose else queue.popleft()
        if not queue:
            network.disable(slot)
        elif slot in network.lag:
            self._linger(slot)
        host, sender = network.receivers[slot], network.senders[slot]
        if origin is None and isinstance(message, HostLost):
            network.cut(message.name, host.name)
        self.step = step = self.step + 1
        try:
            out = host.take(message, sender, origin, step)
        except Exception as error:  # noqa: BLE001  raised again where it is our bug
            out = mishaps.unexpected(self, host, message, sender, error)
        moment = host.moment
        if self.history is not None:
            self._say_input(host, sender, message, k)
        elif out.facts and moment is not None and self.judge.observe_input(moment, out.facts):
            self._stopped = self._stopped or self.setup.stop_at_first
        if not out.effects:
            return
        routes = network.outbound[slot]
        k = 0
        for effect in out.effects:
            k += 1  # Mostly there is one: to make an `enumerate` for it would cost more.
            if isinstance(effect, Send):
                to = effect.to
                link = routes.get(to)
                if link is None:
                    link = network.open(host.name, to)
                if link == CLOSED:
                    continue
                item = (effect.message, moment, k)
                lags = mishaps.put(self, link, item) if link in loose else network.put(link, item)
                if lags:
                    self._linger(link)
            else:
                timer = network.timer(host.name, effect.timer)
                if not network.queues[timer]:
                    network.put(timer, (TimerFired(effect.timer), None, 0))

    def _linger(self, slot: int) -> None:
        """The head of a link that lags waits for a drawn number of steps.

        Where it is a loss that it waits for, only if it is lost: then it is sent again.
        """
        network = self.network
        if slot in network.lossy and not mishaps.dropped(self, slot):
            network.ready(slot)
            return
        low, high = network.lag[slot]
        wait = low + self.draw(words(network.names[slot]), high - low + 1)
        network.sleep(slot, self.step + wait)

    # Chance, for the actors (through their hosts).

    def fails(self, actor: Name, site: str) -> bool:
        self.passages[actor, site] = self.passages.get((actor, site), 0) + 1
        if site not in self.watched:
            return False
        failed = self.strategy.fails(self, actor, site)
        self.book.entries.append(self.book.entry(Fail(actor, site, failed)))
        return failed

    def draw(self, actor: Name, bound: int) -> int:
        if bound == 1:
            return 0
        drawn = self.strategy.draw(self, actor, bound)
        self.book.entries.append(self.book.entry(Draw(actor, drawn)))
        return drawn

    # The supervisor, and the history.

    def _say_input(self, host: Host, sender: Name, message: AnyMessage, k: int) -> None:
        """The input of a host, what it sends and what it states."""
        moment = host.moment
        assert moment is not None
        assert self.history is not None
        n, k = (moment.cause_n, k) if moment.cause else (k, 1)
        stamp = stamp_of(moment)
        self.history(Record(stamp, delivered_fact(sender, message, message_id(sender, n, k))))
        for place, effect in enumerate(host.out.effects, start=1):
            if isinstance(effect, Send):
                its_id = message_id(host.name, host.n, place)
                self.history(Record(stamp, sent_fact(effect.to, effect.message, its_id)))
        for fact in host.out.facts:
            self._record(host.record(fact))

    def tell(self, to: Name, message: AnyMessage) -> None:
        """The supervisor sends."""
        slot = self.network.routes[SUPERVISOR].get(to)
        if slot is None:
            slot = self.network.open(SUPERVISOR, to)
        serial = self._serial + 1
        if self.history is None:
            self._serial = serial
        else:
            self.state(sent_fact(to, message, message_id(SUPERVISOR, serial, 1)))
        if self.network.put(slot, (message, None, serial)):
            self._linger(slot)

    def state(self, fact: Event, of: Name = SUPERVISOR) -> None:
        """The world records a fact, its own or about one actor."""
        self._serial += 1
        if self.history is None and fact.__class__ not in self._observed:
            return
        moment = self.hosts[of].moment if of != SUPERVISOR else None
        if moment is None:
            stamp = Stamp(
                actor=SUPERVISOR, n=self._serial, step=self.step, ts_ns=self.step * STEP_NS,
                clock={SUPERVISOR: self._serial},
            )  # fmt: skip
        else:
            stamp = stamp_of(moment, self.step)
        self._record(Record(stamp, fact))

    def _record(self, record: Record) -> None:
        if self.history is not None:
            self.history(whole(record))
        if self.judge.observe(record) and self.setup.stop_at_first:
            self._stopped = True
        if self.judge.news:
            self._say_news(record)

    def _say_news(self, record: Record | None) -> None:
        """What properties said goes into the history, too, stamped as what they said it about."""
        news, self.judge.news = self.judge.news, []
        if self.history is None:
            return
        for fact in news:
            if record is None:
                self.state(fact)
            else:
                self.history(Record(whole(record).stamp, fact))


def simulate(
    setup: Setup, seed: int, strategy: str = "random", history: History | None = None
) -> RunResult:
    """One run, by a strategy's name and a seed."""
    return follow(prepared(setup, strategy), Order(strategy, seed), history)[0]


def follow(setup: Setup, order: Order, history: History | None = None) -> tuple[RunResult, Lesson]:
    """One run of a campaign, in a setup prepared for it, and what it taught."""
    scout = make(order.strategy, order.seed, setup.nemeses)
    result = World(setup, scout, history).run()
    return result, scout.lesson()
