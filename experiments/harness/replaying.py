"""A stored schedule, run again and compared with what it was."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from clusters.sim.replay import replay
from clusters.sim.tape import Origin, Tape, read_tape, read_token
from experiments.harness.config import Experiment, load
from experiments.harness.result import Exit
from experiments.harness.say import Voice
from experiments.harness.setup import digest_of, setup_of
from experiments.harness.store import git_state
from experiments.harness.story import as_step, story
from protocol.errors import DivergedError, ExperimentError
from protocol.history import Record

TAPE_BYTES_MAX: Final = 64 << 20
CAUSES: Final = (
    "usual causes: the code changed, a set decided an order,"
    " a clock or chance was read below clusters"
)


def replay_file(path: Path, voice: Voice, *, show: bool) -> int:
    """A `ce-*.json` beside its run's `experiment.toml`."""
    if not path.is_file():
        raise ExperimentError(f"{path}: no such counterexample file (or a token without its FILE)")
    if path.stat().st_size > TAPE_BYTES_MAX:
        raise ExperimentError(f"{path}: larger than {TAPE_BYTES_MAX} bytes")
    tape, origin = read_tape(path.read_bytes(), str(path))
    beside = path.resolve().parent / "experiment.toml"
    if not beside.is_file():
        raise ExperimentError(f"{path}: its experiment.toml is not beside it")
    experiment = load(beside)
    if digest_of(experiment) != origin.experiment:
        raise ExperimentError(f"{beside}: is not the experiment that {path.name} was recorded with")
    git, dirty = git_state()
    if origin.git != git:
        voice.talk(
            f"recorded with git {origin.git[:7] or '?'}, this is {git[:7] or '?'}"
            f"{' with changes' if dirty else ''}: it may come out differently"
        )
    return _run(experiment, str(beside), tape, voice, origin=origin, show=show)


def replay_token(
    token: str, file: Path, changes: Sequence[str], voice: Voice, *, show: bool
) -> int:
    """A token: seed and strategy, with the experiment it belongs to."""
    tape = read_token(token)
    return _run(load(file, tuple(changes)), str(file), tape, voice, origin=None, show=show)


def _run(
    experiment: Experiment,
    where: str,
    tape: Tape,
    voice: Voice,
    *,
    origin: Origin | None,
    show: bool,
) -> int:
    records: list[Record] = []
    try:
        result = replay(setup_of(experiment, where), tape, history=records.append)
    except DivergedError as error:
        raise DivergedError(f"diverged {error}\n  {CAUSES}") from error
    if show:
        for record in records:
            if line := as_step(record):
                voice.answer(line)
    found = result.violations[0] if result.violations else None
    voice.object(
        {
            "verdict": "violation" if found else result.verdict.word,
            "property": found.property if found else "",
            "message": found.sentence if found else "",
            "steps": result.steps,
            "token": tape.token(),
        }
    )
    if found is not None:
        voice.verdict("violation", found.property)
        voice.answer(f"  {found.sentence}")
        if not show:
            for line in story(records, found):
                voice.answer(line)
    if origin is not None and origin.property and (not found or found.property != origin.property):
        raise DivergedError(
            f"diverged: the recording violated {origin.property} at step {origin.step};"
            f" now {found.property if found else 'nothing'} is violated\n  {CAUSES}"
        )
    if found is not None:
        return int(Exit.VIOLATION)
    voice.verdict(result.verdict.word, f"{result.steps:,} steps, as recorded")
    for reason in result.verdict.reasons:
        voice.answer(f"  {reason}")
    return int(Exit.UNKNOWN if result.verdict.word == "unknown" else Exit.PASS)
