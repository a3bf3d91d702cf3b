"""What a run came to, in words and as an exit code (ux: exit codes).

`result.json` holds a `Result`; it is the source for everything else that is said about a run.
"""

from collections.abc import Iterable
from enum import Enum, IntEnum
from typing import Final

from msgspec import Struct

RESULT_FORMAT: Final = 1


class Exit(IntEnum):
    """Stable exit codes; in `--help` and in `result.json`."""

    PASS = 0
    VIOLATION = 1
    USAGE = 2
    UNKNOWN = 3
    DIVERGED = 4
    CLUSTER = 5
    OUR_BUG = 70
    INTERRUPTED = 130


WORST_FIRST: Final = (
    Exit.OUR_BUG,
    Exit.VIOLATION,
    Exit.DIVERGED,
    Exit.CLUSTER,
    Exit.UNKNOWN,
    Exit.INTERRUPTED,
    Exit.PASS,
)
"""Several at once: a violation stays one whatever broke afterwards, and beats unknown."""


def worst(exits: Iterable[Exit]) -> Exit:
    """The one exit code of several outcomes."""
    seen = list(exits)
    return next((code for code in WORST_FIRST if code in seen), Exit.PASS)


class Status(Enum):
    """Of one property, or of a whole run."""

    HELD = "held"
    VIOLATED = "violated"
    UNKNOWN = "unknown"
    PASS = "pass"  # noqa: S105  a verdict
    PROVED = "proved"
    VIOLATION = "violation"
    DIVERGED = "diverged"
    CLUSTER = "cluster failed"
    INTERRUPTED = "interrupted"
    NOT_RUN = "could not run"
    EXPLAINED = "explained"
    NOT_EXPLAINED = "not explained"


class PropertyResult(Struct, frozen=True):
    """One property: `message` says what went wrong, what is unmet, or why it is unknown."""

    name: str
    kind: str
    status: Status
    message: str = ""


class WitnessResult(Struct, frozen=True):
    """One witness: in how many of the schedules it happened."""

    name: str
    schedules: int


class ViolationResult(Struct, frozen=True, omit_defaults=True):
    """What a property said, and where: after input `n` of `actor`; `step` in the simulator."""

    property: str
    message: str
    actor: str = ""
    n: int = 0
    step: int = 0


class Counterexample(Struct, frozen=True, kw_only=True):
    """A violation found: by which schedule, its file, and the command that shows it again.

    `token` stands for the schedule, too, together with the experiment; `strategy` found it.  One
    that was shrunk had `shrunk_from` steps (0: it was not), which took `tries` schedules; `reason`
    says why it is `minimal`, or why that is not proved.
    """

    property: str
    message: str
    schedule: int
    seed: int
    steps: int
    file: str
    replay: str
    token: str = ""
    strategy: str = ""
    shrunk_from: int = 0
    tries: int = 0
    minimal: bool = False
    reason: str = ""


class ChanceResult(Struct, frozen=True):
    """Of `walks` random schedules that left after so many choices, the last at `step`."""

    choices: int
    step: int
    walks: int
    failed: int


class GuiltResult(Struct, frozen=True):
    """The choice that did most for the failure: the probability of that `before` and `after` it.

    Unless it is `clear`, others did nearly as much.
    """

    choice: int
    step: int
    chosen: str
    before: float
    after: float
    clear: bool


class NearestResult(Struct, frozen=True):
    """Where the nearest schedule that holds differs first: `instead` of `chosen`.

    `recorded`: for the rest it is as the failing one, where that is possible.
    """

    choice: int
    step: int
    chosen: str
    instead: str
    recorded: bool


class SliceStep(Struct, frozen=True):
    """One step of the causal slice; `about`: about its subject, and not only a cause of that."""

    step: int
    actor: str
    n: int
    peer: str
    message: str
    did: str
    about: bool


class ExplanationResult(Struct, frozen=True, kw_only=True):
    """Why a property was violated.

    `guilty` and `nearest` are null where there is none, and `sentences` say why; `curve` has the
    probabilities that were measured; `tries`: schedules among which the nearest was looked for;
    `cut`: the budget ended before all was tried.
    """

    property: str
    sentences: tuple[str, ...]
    guilty: GuiltResult | None
    nearest: NearestResult | None
    curve: tuple[ChanceResult, ...]
    tries: int
    cut: bool
    subject: str
    slice: tuple[SliceStep, ...]


class Result(Struct, frozen=True, kw_only=True):
    """What a verb came to; `result.json`, and the object of --json.

    `reasons` say why it is not a pass; `violations` are those of the one history that is kept;
    `counts` are schedules, steps, records and such; `strategies`: how many schedules of each, and
    `proof` what is proved by them; `explanation`, if it was asked for, is of the first violation;
    `again` is the command that does it again.
    Where nothing was run, format, verdict, exit code and reasons are all there is.
    """

    format: int = RESULT_FORMAT
    verb: str
    experiment: str
    title: str
    revision: str
    world: str
    seed: int
    verdict: Status
    exit_code: int
    reasons: tuple[str, ...] = ()
    properties: tuple[PropertyResult, ...] = ()
    witnesses: tuple[WitnessResult, ...] = ()
    violations: tuple[ViolationResult, ...] = ()
    counterexamples: tuple[Counterexample, ...] = ()
    counts: dict[str, int] = {}
    strategies: dict[str, int] = {}
    proof: str = ""
    explanation: ExplanationResult | None = None
    seconds: float = 0.0
    folder: str = ""
    again: str = ""
