"""What `chaos` does: run live, say what happens, judge, re-execute, conclude."""

import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

import click
from msgspec import Struct, structs

from clusters.live.fleet import ready_fleet
from clusters.live.live_setup import LiveResult, LiveSetup, Progress
from clusters.live.node_strikes import check_nodes
from clusters.live.run import run_live
from experiments.harness.config import Experiment, at_large, machine_of, plans_of
from experiments.harness.errors import UnwritableError
from experiments.harness.follow_saying import say_followed, strayed_of
from experiments.harness.found_live import Found, find_again, say_found, say_ways
from experiments.harness.options import Asked
from experiments.harness.result import Exit, Result, Status, WitnessResult, worst
from experiments.harness.say import Voice, columns, fit, moving
from experiments.harness.setup import (
    VERDICTS,
    healable_of,
    loaded,
    nemeses_of,
    properties_of,
    property_results,
)
from experiments.harness.soaking import soak
from experiments.harness.store import Run
from protocol.errors import ClusterError, ExperimentError

PLAIN_EVERY_S: Final = 10.0
AUTH: Final = "PASIDLAB_REDIS_AUTH"
IGNORED: Final = "explore.*, every_steps, lasts_steps, wait_steps, max_steps"
ALL_HEALED: Final = "finally.heal (live, everything that lasts is healed in the end)"


class Outcome(Struct, frozen=True):
    """What came of a live run; `found`: its violation, in the simulator; `again`: the command."""

    live: LiveResult
    found: Found | None = None
    again: str = ""


class How(Struct, frozen=True):
    """How a live run goes on: how long with faults, and where ("": on a Ray of its own).

    `soak_seconds`: run after run for so long.
    """

    seconds: float | None = None
    address: str = ""
    cluster: str = ""
    soak_seconds: float | None = None


def chaos(asked: Asked, seed: int, runs: Path, how: How, voice: Voice) -> int:
    """One live run, or a soak of them; the exit code."""
    if how.soak_seconds is not None:
        return soak(lambda one: run(asked, one, runs, how, voice), seed, how.soak_seconds, voice)
    result = run(asked, seed, runs, how, voice)
    voice.object(result)
    return result.exit_code


def run(asked: Asked, seed: int, runs: Path, how: How, voice: Voice) -> Result:
    """One live run, stored and said."""
    written, file = loaded(asked), str(asked.file)
    refuse_loose(written, file)
    experiment = at_large(written)
    nemesis = nemeses_of(experiment, file)
    check_nodes(nemesis, ready_fleet(how.cluster) if how.cluster else None, f"{file}: $.nemesis")
    ignored = IGNORED if healable_of(experiment, file) is True else f"{IGNORED}, {ALL_HEALED}"
    stored = Run(runs, Path(file).stem, seed)
    stored.write_experiment(written)
    setup = live_setup(experiment, file, stored, how)
    setup = replace(setup, nemesis=nemesis, seconds=how.seconds)
    voice.answer(f"{Path(file).stem}  revision {experiment.lineup.title}  seed {seed:#x}  live")
    voice.talk(f"not honoured live: {ignored}")
    result = done_live(setup, file, stored, voice)
    found = None
    if result.judged.word == "violation" and result.match.matched:
        shrink = not result.interrupted
        found = find_again(asked, experiment, stored, voice, shrink=shrink)
    return conclude(setup, file, stored, Outcome(result, found), voice)


def refuse_loose(experiment: Experiment, file: str) -> None:
    """Links that are not reliable are for the simulator."""
    if experiment.network.semantics != "reliable":
        raise ExperimentError(
            f"{file}: $.network.semantics: '{experiment.network.semantics}' cannot be live: a host"
            " journals each message of a link once and in its order, and is re-executed from that;"
            " run and explore have it"
        )


def live_setup(experiment: Experiment, file: str, run: Run, how: How) -> LiveSetup:
    """What is run live, but for faults."""
    return LiveSetup(
        machine=machine_of(experiment, file),
        plans=plans_of(experiment, file),
        seed=run.seed,
        folder=run.folder,
        placement=experiment.live.placement,
        hosts=experiment.live.hosts,
        disk_bytes=experiment.live.disk_mb << 20,
        keep_history=experiment.live.history,
        durability=experiment.live.durability,
        journal=_with_auth(experiment.live.journal),
        quiet_seconds=experiment.finally_.quiet_seconds,
        address=how.address,
        cluster=how.cluster,
        properties=properties_of(experiment, file),
        experiment=experiment.title,
        lineup=experiment.lineup,
        run=run.final.name,
    )


def done_live(setup: LiveSetup, file: str, run: Run, voice: Voice) -> LiveResult:
    """Do it."""
    talk = _Talk(voice)
    try:
        return run_live(setup, talk)
    except ExperimentError:
        run.discard()  # Nothing has begun.
        raise
    except ClusterError as error:
        # What was journalled stays readable; the folder says that there was no verdict.
        failed = _result(setup, file, run, Status.CLUSTER, Exit.CLUSTER)
        with suppress(UnwritableError):  # The disk may be what failed.
            run.finish(structs.replace(failed, reasons=(str(error),)))
        raise ClusterError(f"cluster failed: {error}; see {run.folder}") from error
    finally:
        talk.erase()


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


class _Talk:
    """One line that changes on a terminal; else one every ten seconds, and at each new phase."""

    def __init__(self, voice: Voice) -> None:
        self.voice = voice
        self.phase = ""
        self.said = 0.0
        self.cluster = ""
        self.shown = False

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.cluster != self.cluster:
            self.cluster = progress.cluster
            self.erase()
            self.voice.talk(f"ray        {self.cluster}")
        moves = moving() and not self.voice.quiet
        if progress.phase == self.phase and now - self.said < PLAIN_EVERY_S and not moves:
            return
        self.phase, self.said = progress.phase, now
        ops = progress.outcomes
        line = (
            f"{progress.seconds:5.0f}s {progress.phase:<12} inputs {progress.inputs:,}"
            f"  ops {ops.get('ok', 0)} ok {ops.get('fail', 0)} refused {ops.get('info', 0)} info"
            f"  {_in_short(progress.faults)}"
        )
        if not moves:
            self.voice.talk(line)
            return
        self.shown = True
        click.echo(f"\r\x1b[2K{fit(line)}", nl=False, err=True)

    def erase(self) -> None:
        """What follows is not written behind it."""
        if self.shown:
            click.echo("\r\x1b[2K", nl=False, err=True)
        self.shown = False


def _in_short(faults: dict[str, int]) -> str:
    """How often each fault, over all its targets."""
    short: dict[str, int] = {}
    for what, count in faults.items():
        fault = what.split()[0]
        short[fault] = short.get(fault, 0) + count
    return " ".join(f"{fault} x{count}" for fault, count in short.items())


def conclude(setup: LiveSetup, file: str, run: Run, outcome: Outcome, voice: Voice) -> Result:
    """Write it and say it."""
    live, found = outcome.live, outcome.found
    verdict = live.judged
    status, code = VERDICTS[verdict.word]
    codes = [code]
    strayed = strayed_of(live)
    if live.match.divergence or strayed:
        codes.append(Exit.DIVERGED)
        status = status if status is Status.VIOLATION else Status.DIVERGED
    if live.interrupted and status is not Status.VIOLATION:
        status, codes = Status.INTERRUPTED, [*codes, Exit.INTERRUPTED]
    final = Exit.INTERRUPTED if status is Status.INTERRUPTED else worst(codes)
    sometimes = [p for p in verdict.properties if p.kind == "sometimes"]
    result = structs.replace(
        _result(setup, file, run, status, final),
        reasons=(*([strayed] if strayed else []), *live.reasons, *verdict.reasons),
        properties=property_results(verdict),
        witnesses=tuple(WitnessResult(p.name, p.witnesses) for p in sometimes),
        counterexamples=found.examples if found else (),
        explanation=found.after.why if found and found.after else None,
        counts={**live.counts, "matched": live.match.matched, "inputs": live.match.total},
        seconds=round(live.seconds, 3),
        again=outcome.again or (found.follow if found else ""),
    )
    run.finish(result, live.cluster)
    _say(run, outcome, result, voice)
    return result


def _say(run: Run, outcome: Outcome, result: Result, voice: Voice) -> None:
    live, found = outcome.live, outcome.found
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
    lives, bound = (result.counts.get(what, 0) for what in ("lives", "bound"))
    voice.answer(f"lives      {lives:,} PASIDs came to their end, {bound:,} at most bound at once")
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
    if live.followed is not None:
        say_followed(live, voice)
    if found is not None:
        say_found(found, voice)
    kept = (run.final / live.history.name).exists()
    if kept:
        voice.answer(f"history    {run.final}/history.jsonl")
    again = f"pasidlab check {run.final}" if kept else "with --set live.history=true"
    voice.answer(f"again      {again}    (took {live.seconds:.1f} s)")
    if found is not None:
        say_ways(found, voice)
    if outcome.again:
        voice.keyed("follow", outcome.again)
