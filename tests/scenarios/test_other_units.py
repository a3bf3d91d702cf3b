"""The cases of SVA with the drivers of other units: as with VT-d, if they drain; 7.3 does not."""

from typing import Final

import pytest

from clusters.lineup import SOUND, Lineup
from clusters.sim.run_result import RunResult
from clusters.sim.world import simulate
from experiments.harness.reading import EXPERIMENTS
from tests.worlds import assert_fine, world_of

CASES: Final = EXPERIMENTS / "iommufd"
OF_SVA: Final = (
    *("s01_*", "s02_*", "s03_*", "s04_*", "s05_*", "s06_*", "s15_*", "s16_*", "s17_*", "s24_*"),
    *("s25_*", "s26_*", "s27_*", "accelerators_normal_life*", "accelerators_under_kills*"),
)


def played(driver: str, pattern: str, seed: int, revision: str = SOUND) -> RunResult:
    """The case on a machine with units of that driver."""
    (path,) = CASES.glob(pattern)
    text, unit = path.read_text("utf-8"), "[[machine.unit]]\n"
    if unit not in text:
        text = text.replace("[callers]", f'{unit}name = "dmar0"\n\n[callers]', 1)
    text = text.replace(unit, f'{unit}driver = "{driver}"\n')
    assert f'driver = "{driver}"' in text
    return simulate(world_of(text, Lineup(revision).classes()), seed=seed)


@pytest.mark.long
@pytest.mark.parametrize("driver", ["amd", "arm-smmu-v3"])
@pytest.mark.parametrize("pattern", OF_SVA)
@pytest.mark.parametrize("seed", range(3))
def test_a_case_ends_as_with_vt_d(driver: str, pattern: str, seed: int) -> None:
    assert_fine(played(driver, pattern, seed), pattern)


@pytest.mark.long
@pytest.mark.parametrize(
    ("driver", "pattern", "rule"),
    [
        ("amd", "s15_*", "no-fault-under-a-freed-handle"),
        ("amd", "s17_*", "no-fault-under-a-freed-handle"),
        ("arm-smmu-v3", "s15_*", "released-entries-end-drained"),
        ("arm-smmu-v3", "s17_*", "devices-leave-the-fault-queue-drained"),
    ],
)
def test_err_a_detach_that_waits_for_no_fault(driver: str, pattern: str, rule: str) -> None:
    """The driver of the device has stopped it, and has not waited for its page requests."""
    runs = [played(driver, pattern, seed, "linux-7.3") for seed in range(12)]
    assert rule in [one.property for run in runs for one in run.violations]
