"""What `run`, `explore` and `replay` share: a case to simulate, and what is said at the end."""

from dataclasses import dataclass, field
from pathlib import Path

from clusters.judge import Verdict, Violation, merge
from clusters.sim import determinism
from clusters.sim.tape import Origin
from clusters.sim.world import RunResult, Setup, simulate
from experiments.harness.config import Experiment
from experiments.harness.result import Counterexample, Exit, Result, Status, WitnessResult, worst
from experiments.harness.say import Voice, columns
from experiments.harness.setup import VERDICTS, digest_of, property_results, setup_of
from experiments.harness.store import Run, git_state
from experiments.harness.story import story
from protocol.history import Record, encode_record
from protocol.properties.property import Kind


@dataclass(frozen=True)
class Case:
    """An experiment ready to be simulated, with the seed that everything comes from."""

    experiment: Experiment
    file: str
    seed: int
    setup: Setup
    run: Run

    @property
    def name(self) -> str:
        """The experiment's short name: its file's."""
        return Path(self.file).stem

    def quick(self, seed: int) -> RunResult:
        """One schedule, judged, without its history."""
        return simulate(self.setup, seed)

    def once(self, seed: int) -> tuple[RunResult, list[Record]]:
        """One schedule with its history."""
        records: list[Record] = []
        return simulate(self.setup, seed, history=records.append), records

    def check_determinism(self, seeds: list[int]) -> None:
        """Each of these schedules once more, in a process with another hash seed."""
        if seeds:
            determinism.check(self.setup, seeds)

    def empty_verdict(self) -> Verdict:
        """Of no schedule at all."""
        return merge([])


@dataclass(frozen=True)
class Outcome:
    """What a verb found.  `failing`: index of the schedule, its result, its history."""

    verb: str
    verdict: Verdict
    schedules: int
    steps: int
    witnesses: dict[str, int]
    failing: tuple[int, RunResult, list[Record]] | None
    records: list[Record]
    seconds: float
    deterministic: int = 0
    interrupted: bool = False
    asked: int = 0
    reasons: list[str] = field(default_factory=list)


def simulated(experiment: Experiment, file: str, seed: int, runs: Path) -> Case:
    """The case of an experiment, and its run folder."""
    setup = setup_of(experiment, file)
    run = Run(runs, Path(file).stem, seed)
    run.write_experiment(experiment)
    return Case(experiment, file, seed, setup, run)


def conclude(case: Case, outcome: Outcome, voice: Voice) -> int:
    """Write the run's files, say the verdict, and give the exit code."""
    status, code = VERDICTS[outcome.verdict.word]
    if outcome.interrupted:
        code = worst([code, Exit.INTERRUPTED]) if status is Status.VIOLATION else Exit.INTERRUPTED
        status = status if status is Status.VIOLATION else Status.INTERRUPTED
    examples = _counterexamples(case, outcome)
    if outcome.records:
        lines = b"".join(encode_record(record) + b"\n" for record in outcome.records)
        case.run.write("history.jsonl", lines)
    result = Result(
        verb=outcome.verb,
        experiment=case.file,
        title=case.experiment.title,
        revision=case.experiment.revision,
        world="sim",
        seed=case.seed,
        verdict=status,
        exit_code=int(code),
        reasons=outcome.verdict.reasons,
        properties=property_results(outcome.verdict),
        witnesses=tuple(WitnessResult(name, n) for name, n in outcome.witnesses.items()),
        counterexamples=examples,
        counts={"schedules": outcome.schedules, "steps": outcome.steps},
        seconds=round(outcome.seconds, 3),
        folder=str(case.run.final),
    )
    case.run.finish(result)
    voice.object(result)
    _say(case, outcome, result, voice)
    return int(code)


def _counterexamples(case: Case, outcome: Outcome) -> tuple[Counterexample, ...]:
    if outcome.failing is None:
        return ()
    index, found, _ = outcome.failing
    violation = found.violations[0]
    git, _ = git_state()
    origin = Origin(
        git=git,
        experiment=digest_of(case.experiment),
        property=violation.property,
        step=step_of(violation),
    )
    path = case.run.write("ce-1.json", found.tape.to_json(origin))
    return (
        Counterexample(
            property=violation.property,
            message=violation.sentence,
            schedule=index + 1,
            seed=found.tape.seed,
            steps=found.steps,
            file=str(path),
            replay=f"pasidlab replay {path}",
        ),
    )


def _say(case: Case, outcome: Outcome, result: Result, voice: Voice) -> None:
    revision = case.experiment.revision
    voice.answer(f"{case.name}  revision {revision}  strategy random  seed {case.seed:#x}  sim")
    schedules = f"{outcome.schedules:,} schedule{'s' if outcome.schedules != 1 else ''}"
    size = f"{schedules} ({outcome.steps:,} steps, {outcome.seconds:.1f} s)"
    judged = [p for p in result.properties if p.kind != Kind.SOMETIMES.value]
    match result.verdict:
        case Status.VIOLATION:
            example = result.counterexamples[0]
            asked = f" of {outcome.asked:,}    {outcome.seconds:.1f} s" if outcome.asked else ""
            where = f"    schedule {example.schedule:,}{asked}" if asked else ""
            voice.verdict("violation", f"{example.property}{where}")
            voice.answer(f"  {example.message}")
            voice.answer()
            _, found, records = outcome.failing or (0, None, [])
            assert found is not None
            for line in story(records, found.violations[0]):
                voice.answer(line)
            voice.answer()
        case Status.PASS:
            checked = (
                f"; determinism checked on {outcome.deterministic}" if outcome.deterministic else ""
            )
            voice.verdict("pass", f"{len(judged)} properties held in {size}{checked}")
        case Status.INTERRUPTED:
            voice.verdict("interrupted", f"after {size} of {outcome.asked:,}; nothing was violated")
        case _:
            voice.verdict("unknown", f"nothing was violated in {size}, but")
            for reason in result.reasons:
                voice.answer(f"  {reason}")
    if result.witnesses:
        voice.answer("witnesses")
        share = {
            w.name: f"{100 * w.schedules / max(1, outcome.schedules):.0f}%"
            for w in result.witnesses
        }
        for line in columns(list(share.items())):
            voice.answer(line)
    for example in result.counterexamples:
        voice.answer(f"replay     {example.replay}")
    voice.answer(f"result     {case.run.final}/result.json")


def step_of(violation: Violation) -> int:
    """The step at which it was said; 0 at the end of the run."""
    return violation.record.stamp.step if violation.record else 0
