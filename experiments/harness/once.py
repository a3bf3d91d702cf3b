"""What `run` does: one schedule, with its whole history, also if it is cut short."""

import time

from clusters.judge import merge
from clusters.sim.run_result import RunResult
from experiments.harness.progress import Count
from experiments.harness.running import Case, Failing, Outcome
from protocol.errors import DivergedError
from protocol.history import Record


def once(case: Case) -> Outcome:
    """The schedule of the case's seed; what came out, also if it was interrupted."""
    began = time.monotonic()
    records: list[Record] = []
    result: RunResult | None = None
    interrupted, divergence = False, ""
    try:
        result = case.once(case.order, records)
    except KeyboardInterrupt:
        interrupted = True
    except DivergedError as error:
        divergence = str(error)
    steps = result.steps if result else max((record.stamp.step for record in records), default=0)
    return Outcome(
        verb="run",
        verdict=result.verdict if result else merge([]),
        count=Count(
            schedules=1,
            steps=steps,
            violating=int(bool(result and result.violations)),
            witnesses={name: int(bool(n)) for name, n in result.witnesses.items()}
            if result
            else {},
        ),
        failings=(Failing(0, result, records),) if result and result.violations else (),
        records=tuple(records),
        seconds=time.monotonic() - began,
        interrupted=interrupted,
        divergence=divergence,
        again=case.replay(case.order),
        reasons=restless(result, case) if result else (),
    )


def restless(result: RunResult, case: Case) -> tuple[str, ...]:
    """Why the end was not quiet, if it was not; a violation ends a run where it is."""
    if result.quiet or result.violations:
        return ()
    steps = f"explore.max_steps {case.setup.max_steps:,}, finally.quiet_steps"
    return (
        f"it did not come to rest in {result.steps:,} steps ({steps} {case.setup.quiet_steps:,})",
    )
