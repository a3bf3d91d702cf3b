"""What `chaos` does: run live, say what happens, judge, re-execute, conclude."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from msgspec import Struct, structs

from clusters.live import LiveResult, LiveSetup, Progress, run_live
from clusters.live.fleet import ready_fleet
from clusters.live.node_strikes import check_nodes
from experiments.harness.config import machine_of, plans_of
from experiments.harness.errors import UnwritableError
from experiments.harness.options import Asked
from experiments.harness.result import Exit, Result, Status, WitnessResult, worst
from experiments.harness.say import Voice, columns
from experiments.harness.setup import (
    VERDICTS,
    healable_of,
    loaded,
    nemeses_of,
    properties_of,
    property_results,
)
from experiments.harness.store import Run
from protocol.errors import ClusterError, ExperimentError
from protocol.names import Name
from protocol.plan import Plan

PLAIN_EVERY_S: Final = 5.0
AUTH: Final = "PASIDLAB_REDIS_AUTH"
IGNORED: Final = "explore.*, every_steps, lasts_steps, wait_steps, max_steps"
ALL_HEALED: Final = "finally.heal (live, everything that lasts is healed in the end)"


class How(Struct, frozen=True):
    """How a live run goes on: how long with faults, and where ("": on a Ray of its own)."""

    seconds: float | None = None
    address: str = ""
    cluster: str = ""


def chaos(asked: Asked, seed: int, runs: Path, how: How, voice: Voice) -> int:
    """One live run; its exit code."""
    experiment, file = loaded(asked), str(asked.file)
    if experiment.network.semantics != "reliable":
        raise ExperimentError(
            f"{file}: $.network.semantics: '{experiment.network.semantics}' cannot be live: a host"
            " journals each message of a link once and in its order, and is re-executed from that;"
            " run and explore have it"
        )
    nemesis = nemeses_of(experiment, file)
    check_nodes(nemesis, ready_fleet(how.cluster) if how.cluster else None, f"{file}: $.nemesis")
    properties = properties_of(experiment, file)
    ignored = IGNORED if healable_of(experiment, file) is True else f"{IGNORED}, {ALL_HEALED}"
    run = Run(runs, Path(file).stem, seed)
    run.write_experiment(experiment)
    setup = LiveSetup(
        machine=machine_of(experiment, file),
        plans=_rounds(plans_of(experiment, file), experiment.live.rounds),
        seed=seed,
        folder=run.folder,
        nemesis=nemesis,
        placement=experiment.live.placement,
        durability=experiment.live.durability,
        journal=_with_auth(experiment.live.journal),
        seconds=how.seconds,
        quiet_seconds=experiment.finally_.quiet_seconds,
        address=how.address,
        cluster=how.cluster,
        properties=properties,
        experiment=experiment.title,
        lineup=experiment.lineup,
        run=run.final.name,
    )
    voice.answer(f"{Path(file).stem}  revision {experiment.lineup.title}  seed {seed:#x}  live")
    voice.talk(f"not honoured live: {ignored}")
    try:
        result = run_live(setup, _Talk(voice))
    except ClusterError as error:
        # What was journalled stays readable; the folder says that there was no verdict.
        failed = _result(setup, file, run, Status.CLUSTER, Exit.CLUSTER)
        with suppress(UnwritableError):  # The disk may be what failed.
            run.finish(structs.replace(failed, reasons=(str(error),)))
        raise ClusterError(f"cluster failed: {error}; see {run.folder}") from error
    return _conclude(setup, file, run, result, voice)


def _result(setup: LiveSetup, file: str, run: Run, verdict: Status, code: Exit) -> Result:
    """What `result.json` says in any case."""
    return Result(
        verb="chaos",
        experiment=file,
        title=setup.experiment,
        revision=setup.lineup.title,
        world="live",
        seed=setup.seed,
        verdict=verdict,
        exit_code=int(code),
        folder=str(run.final),
    )


def _with_auth(server: str) -> str:
    """Secrets are not in experiments, for those are copied into run folders."""
    auth = os.environ.get(AUTH, "")
    if not server or not auth:
        return server
    scheme, _, rest = server.partition("://")
    user, _, password = auth.rpartition(":")
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}"


def _rounds(plans: dict[Name, Plan], rounds: int) -> dict[Name, Plan]:
    return {
        name: structs.replace(plan, operations=plan.operations * rounds)
        for name, plan in plans.items()
    }


class _Talk:
    """A plain line about every five seconds, and one at each new phase."""

    def __init__(self, voice: Voice) -> None:
        self.voice = voice
        self.phase = ""
        self.said = 0.0
        self.cluster = ""

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.cluster != self.cluster:
            self.cluster = progress.cluster
            self.voice.talk(f"ray        {self.cluster}")
        if progress.phase == self.phase and now - self.said < PLAIN_EVERY_S:
            return
        self.phase, self.said = progress.phase, now
        ops = progress.outcomes
        self.voice.talk(
            f"{progress.seconds:5.0f}s {progress.phase:<12} inputs {progress.inputs:,}"
            f"  ops {ops.get('ok', 0)} ok {ops.get('fail', 0)} refused {ops.get('info', 0)} info"
            f"  {_in_short(progress.faults)}"
        )


def _in_short(faults: dict[str, int]) -> str:
    """How often each fault, over all its targets."""
    short: dict[str, int] = {}
    for what, count in faults.items():
        fault = what.split()[0]
        short[fault] = short.get(fault, 0) + count
    return " ".join(f"{fault} x{count}" for fault, count in short.items())


def _conclude(setup: LiveSetup, file: str, run: Run, live: LiveResult, voice: Voice) -> int:
    verdict = live.judged
    status, code = VERDICTS[verdict.word]
    codes = [code]
    if live.match.divergence:
        codes.append(Exit.DIVERGED)
        status = status if status is Status.VIOLATION else Status.DIVERGED
    if live.interrupted and status is not Status.VIOLATION:
        status, codes = Status.INTERRUPTED, [*codes, Exit.INTERRUPTED]
    final = Exit.INTERRUPTED if status is Status.INTERRUPTED else worst(codes)
    sometimes = [p for p in verdict.properties if p.kind == "sometimes"]
    result = structs.replace(
        _result(setup, file, run, status, final),
        reasons=(*live.reasons, *verdict.reasons),
        properties=property_results(verdict),
        witnesses=tuple(WitnessResult(p.name, p.witnesses) for p in sometimes),
        counts={**live.counts, "matched": live.match.matched, "inputs": live.match.total},
        seconds=round(live.seconds, 3),
    )
    run.finish(result, live.cluster)
    voice.object(result)
    _say(run, live, result, voice)
    return int(final)


def _say(run: Run, live: LiveResult, result: Result, voice: Voice) -> None:
    judged = [p for p in result.properties if p.kind != "sometimes"]
    match result.verdict:
        case Status.PASS:
            voice.verdict("pass", f"{len(judged)} properties held, every witness was seen")
        case Status.VIOLATION:
            voice.verdict("violation", "")
            rows = [(p.name, p.message) for p in judged if p.status is Status.VIOLATED]
            for line in columns(rows):
                voice.answer(line)
        case _:
            voice.verdict(result.verdict.value, "")
            for reason in result.reasons:
                voice.answer(f"  {reason}")
    if result.witnesses:
        voice.answer(
            "witnesses  " + "  ".join(f"{w.name} x{w.schedules}" for w in result.witnesses)
        )
    voice.answer(f"faults     {_in_short(live.faults) or 'none'}")
    by_target = [(what, f"x{count}") for what, count in sorted(live.faults.items())]
    for line in columns(by_target):
        voice.answer(line)
    match_ = live.match
    voice.answer(
        f"re-executed {match_.matched:,} of {match_.total:,} inputs matched in the simulator"
    )
    if match_.divergence:
        voice.answer(f"  {match_.divergence}")
    voice.answer(f"history    {run.final}/history.jsonl")
    voice.answer(f"again      pasidlab check {run.final}    (took {live.seconds:.1f} s)")
