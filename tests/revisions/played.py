"""What tests of revisions share: an experiment of the tree or a small one, and who plays it."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

from clusters.lineup import Lineup
from clusters.sim.strategies import campaign, prepared
from clusters.sim.world import Setup
from tests.clusters.campaigns import runs
from tests.worlds import world_of

REVISIONS: Final = ("v1", "v2", "v3", "v4", "dcp")
PORTFOLIO: Final = "portfolio"
SEED: Final = 1
IOASID: Final = Path(__file__).parents[2] / "experiments" / "ioasid"


def played(name: str, revision: str) -> Setup:
    """An experiment, in which a run goes on after a violation."""
    text = (IOASID / f"{name}.toml").read_text("utf-8")
    return replace(world_of(text, Lineup(revision).classes()), stop_at_first=False)


def violated(setup: Setup, schedules: int) -> dict[str, str]:
    """All properties that some schedule of the default strategies violates, each with a sentence.

    Every run comes to rest.
    """
    found: dict[str, str] = {}
    some = runs(prepared(setup, PORTFOLIO), campaign(PORTFOLIO, SEED))
    for number, (_, result, _) in enumerate(islice(some, schedules), start=1):
        assert result.quiet, f"schedule {number}: not quiet after {result.steps} steps"
        for violation in result.violations:
            found.setdefault(violation.property, f"schedule {number}: {violation.sentence}")
    return found


def guests(*scripts: str, wq: str = "shared") -> str:
    """As many guests on one device, with these steps."""
    processes = [
        f"""
[[process]]
name  = "vm{number}.guest"
steps = {[step.strip() for step in script.split(",")]}
"""
        for number, script in enumerate(scripts, start=1)
    ]
    return f"""
title = "{"; ".join(scripts)}"
[pool]
pasids = 2
[[machine.unit]]
name = "dmar0"
[[machine.device]]
name = "dsa0"
unit = "dmar0"
wq   = "{wq}"
[guests]
count = {len(scripts)}
{"".join(processes)}
"""
