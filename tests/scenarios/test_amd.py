"""The cases of SVA with AMD's driver: those it takes on, and those that only VT-d's drain keeps."""

from typing import Final

import pytest

from clusters.sim.run_result import RunResult
from clusters.sim.world import simulate
from experiments.harness.reading import EXPERIMENTS
from tests.worlds import assert_fine, world_of

CASES: Final = EXPERIMENTS / "iommufd"
LIKE_VT_D: Final = (
    *("s01_*", "s02_*", "s03_*", "s04_*", "s05_*", "s06_*", "s16_*", "s24_*", "s25_*", "s26_*"),
    *("s27_*", "accelerators_normal_life*", "accelerators_under_kills*"),
)


def played(pattern: str, seed: int) -> RunResult:
    """The case on a machine whose units are AMD's."""
    (path,) = CASES.glob(pattern)
    text, unit = path.read_text("utf-8"), "[[machine.unit]]\n"
    if unit not in text:
        text = text.replace("[callers]", f'{unit}name = "dmar0"\n\n[callers]', 1)
    text = text.replace(unit, f'{unit}driver = "amd"\n')
    assert 'driver = "amd"' in text
    return simulate(world_of(text), seed=seed)


@pytest.mark.long
@pytest.mark.parametrize("pattern", LIKE_VT_D)
@pytest.mark.parametrize("seed", range(3))
def test_a_case_ends_as_with_vt_d(pattern: str, seed: int) -> None:
    assert_fine(played(pattern, seed), pattern)


@pytest.mark.long
@pytest.mark.parametrize("pattern", ["s15_*", "s17_*"])
def test_err_a_detach_that_flushes_no_fault_work_leaves_it_under_a_freed_handle(
    pattern: str,
) -> None:
    """Who stops a device without waiting for its page requests has VT-d's drain to thank."""
    found = [one.property for seed in range(12) for one in played(pattern, seed).violations]
    assert "no-fault-under-a-freed-handle" in found
