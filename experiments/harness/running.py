"""What `run` and `explore` share: a case to simulate, and what they came to."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from clusters.judge import Verdict
from clusters.nemesis import OF_NODES
from clusters.sim import determinism
from clusters.sim.run_result import RunResult
from clusters.sim.strategies import Order, prepared, single
from clusters.sim.tape import Tape
from clusters.sim.world import Setup, follow
from clusters.workers import Workers
from experiments.harness.config import Experiment
from experiments.harness.options import Asked
from experiments.harness.progress import Count
from experiments.harness.setup import digest_of, loaded, setup_of
from experiments.harness.store import Run, resolved
from experiments.harness.tables import ExploreTable
from protocol.errors import PasidlabError
from protocol.history import Record


@dataclass(frozen=True)
class Case:
    """An experiment ready to be simulated, with the seed that everything comes from."""

    asked: Asked
    experiment: Experiment
    seed: int
    setup: Setup
    run: Run
    digest: str

    @property
    def searched(self) -> str:
        """What a stateful search is about, whatever its bounds: a hash of it."""
        return digest_of(resolved(structs.replace(self.experiment, explore=ExploreTable())))

    @property
    def name(self) -> str:
        """The experiment's short name: its file's."""
        return Path(self.asked.file).stem

    @property
    def left_out(self) -> str:
        """What the simulator does not do of it, as a line to say; "": it does all."""
        left = [one.fault for one in self.experiment.nemesis if one.fault in OF_NODES]
        if not left:
            return ""
        return (
            f"not honoured in the simulator, which has no nodes: {', '.join(dict.fromkeys(left))}"
        )

    @property
    def order(self) -> Order:
        """The one schedule of `run`."""
        return Order(single(self.experiment.explore.strategy), self.seed)

    def once(self, order: Order, records: list[Record]) -> RunResult:
        """One schedule, with its history into `records`: there also if it is interrupted."""
        with self.naming(order):
            return follow(self.setup, order, records.append)[0]

    def check_determinism(self, orders: list[Order], workers: Workers) -> None:
        """Each of these schedules once more, in a process with another hash seed."""
        if orders:
            determinism.check_orders(self.setup, orders, workers)

    def replay(self, order: Order) -> str:
        """The command that shows a schedule again."""
        token = Tape(order.strategy, order.seed).token()
        return command("replay", token, *self.asked.words())

    @contextmanager
    def naming(self, order: Order) -> Iterator[None]:
        """A bug of ours in there says by which schedule it is seen again."""
        try:
            yield
        except PasidlabError:
            raise
        except Exception as error:
            error.add_note(f"again  {self.replay(order)}")
            raise


@dataclass(frozen=True)
class Searched:
    """What a stateful search looked at, within which bounds; `checkpoint`: from where it goes on.

    `why` it did not look at everything within the bounds, or "".
    """

    states: int
    moves: int
    depth: int
    ends: int
    bounds: tuple[str, ...]
    why: str
    checkpoint: bytes = b""


def command(*words: str) -> str:
    """The command line that a user can paste."""
    return shlex.join(("pasidlab", *words))


@dataclass(frozen=True)
class Failing:
    """A schedule with a violation: its place, what it came to, its history."""

    index: int
    result: RunResult
    records: list[Record]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a verb found.

    `records` is the history of a run that has no violation; `divergence` says how a schedule was
    not the same twice, and `again` is the command that shows it again; `broken` says why there were
    no workers any more.  `asked`: how many schedules there were to be, 0: all there are, and
    `proof` says when all have run.
    """

    verb: str
    verdict: Verdict
    count: Count
    failings: tuple[Failing, ...] = ()
    records: tuple[Record, ...] = ()
    seconds: float
    deterministic: int = 0
    interrupted: bool = False
    asked: int = 0
    divergence: str = ""
    broken: str = ""
    again: str = ""
    reasons: tuple[str, ...] = ()
    proof: str = ""
    searched: "Searched | None" = None

    @property
    def history(self) -> tuple[Record, ...]:
        """The records that are kept: of the first violation, else of the run."""
        return tuple(self.failings[0].records) if self.failings else self.records


def simulated(asked: Asked, seed: int, runs: Path) -> Case:
    """The case of an experiment, and its run folder."""
    experiment = loaded(asked)
    setup = prepared(setup_of(experiment, str(asked.file)), experiment.explore.strategy)
    run = Run(runs, Path(asked.file).stem, seed)
    digest = digest_of(run.write_experiment(experiment))
    return Case(asked, experiment, seed, setup, run, digest)
