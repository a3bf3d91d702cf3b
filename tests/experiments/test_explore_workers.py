"""`explore -j`: the same result for any number of workers."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Final

import pytest

from clusters.worker_processes import Processes
from experiments.harness.jobs import Jobs
from experiments.harness.result import Exit
from tests.experiments.command import RIGHT, Command, stored
from tests.experiments.test_explore_jobs import ALONE, LARGE, RARE, SEARCHED, SLOW

pytestmark = pytest.mark.long

LATE: Final = RIGHT.replace('"free q -> ok"', '"free q -> EBUSY"')
"""Near its end it expects what does not happen."""
SMALL: Final = 0.0
"""Seconds that a batch is to take: each is one schedule."""
EVERY: Final = {
    "held": ("right.toml", "--seed", "7", "--schedules", "80"),
    "violated": ("rare.toml", *RARE),
    "violated again and again": ("wrong.toml", "--seed", "7", "--keep-going", "--schedules", "40"),
    "proved": ("right.toml", *SEARCHED),
    "proved up to some delays": ("right.toml", *SEARCHED, "--depth", "2"),
    "never seen": ("unseen.toml", *SEARCHED),
    "violated at last": ("late.toml", *SEARCHED),
    "violated after a delay": ("late.toml", *SEARCHED, "--depth", "1"),
    "stopped": ("right.toml", *SEARCHED, "--states", "1234"),
    "every fault": ("right.toml", "--strategy", "fail-nth", "--seed", "7"),
}


@pytest.fixture(scope="module")
def pools() -> Iterator[dict[int, Processes]]:
    """Workers, by how many, for all cases: a Python takes longer to start than what it does."""
    with Processes(2) as two, Processes(3) as three:
        yield {2: two, 3: three}


@pytest.mark.parametrize("what", EVERY)
def test_any_number_of_workers_comes_to_the_same(
    pasidlab: Command,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    pools: dict[int, Processes],
    what: str,
) -> None:
    (here / "rare.toml").write_text(SLOW)
    (here / "late.toml").write_text(LATE)
    words = ("explore", *EVERY[what], *(() if SEARCHED[0] in EVERY[what] else ALONE))
    code = pasidlab(*words, "-j", "1").code
    alone = stored(here)
    if what == "violated":
        assert (code, alone["counts"]["schedules"]) == (Exit.VIOLATION, 101)
    if "violated" in what:
        assert alone["verdict"] == "violation"
    monkeypatch.setattr(Jobs, "workers", lambda self, _: nullcontext(pools[self.number]))
    for number, worthwhile in ((2, SMALL), (2, LARGE), (3, LARGE)):
        monkeypatch.setattr(pools[number], "worthwhile", worthwhile)
        assert pasidlab(*words, "-j", str(number)).code == code
        assert stored(here) == alone
    assert not any(pool.replaced for pool in pools.values())
