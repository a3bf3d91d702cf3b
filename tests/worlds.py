"""What tests of whole worlds share: an experiment as text becomes what the simulator runs."""

from collections.abc import Mapping
from dataclasses import replace

from msgspec import structs

from clusters.cluster import ActorClass, Role
from clusters.nemesis import Nemesis
from clusters.sim.run_result import RunResult
from clusters.sim.world import Setup
from experiments.harness.config import read_experiment
from experiments.harness.setup import setup_of


def world_of(text: str, classes: Mapping[Role, ActorClass] | None = None) -> Setup:
    """The experiment that `text` says, with its properties; `classes` as in `build`."""
    setup = setup_of(read_experiment(text, "experiment"), "experiment")
    return replace(setup, classes=classes or {})


def with_faults(setup: Setup, *nemeses: Nemesis) -> Setup:
    """The same world, in which this may go wrong."""
    return replace(setup, nemeses=nemeses)


def without_expectations(setup: Setup) -> Setup:
    """The same scripts, whatever becomes of their steps: for runs in which something breaks."""
    plans = {
        name: structs.replace(
            plan, steps=tuple(structs.replace(step, expect=()) for step in plan.steps)
        )
        for name, plan in setup.plans.items()
    }
    return replace(setup, plans=plans)


def assert_fine(result: RunResult, what: str) -> None:
    """No property was violated, nothing was left to happen, and every *eventually* is met."""
    unseen = [one.name for one in result.verdict.properties if one.word == "unseen"]
    wrong = [one for one in result.verdict.reasons if one.partition(":")[0] not in unseen]
    assert not wrong, f"{what}: {'; '.join(wrong)}"
    assert result.quiet, f"{what}: not quiet after {result.steps} steps"
