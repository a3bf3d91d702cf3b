"""The cases of SVA with the drivers of other units: as with VT-d, if they drain; 7.3 does not."""

from typing import Final

import pytest

from actors.defects.mms_pasid_assumed import AssumesTheMmsPasid
from actors.intel_iommu.arm_smmu_v3 import ArmSmmuV3
from actors.intel_iommu.state import Task
from clusters.lineup import SOUND, Lineup
from clusters.sim.run_result import RunResult
from clusters.sim.world import simulate
from experiments.harness.reading import EXPERIMENTS
from protocol.effects import Out
from protocol.errors import Errno
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


# --- An SVA domain on another PASID than its mm's -------------------------------------------------


class ComparesTheMmsPasid(AssumesTheMmsPasid):
    """fdc69d39e77f: what is assumed is asserted (6.10)."""

    __slots__ = ()

    def incompatible(self, task: Task, out: Out) -> Errno | None:
        mms = self.read.get(task.domain)
        wrong = mms is not None and mms.pasid != task.place.pasid
        return Errno.EINVAL if wrong else ArmSmmuV3.incompatible(self, task, out)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [(ArmSmmuV3, "ok"), (ComparesTheMmsPasid, "EINVAL")],
    ids=["6.11 and later", "6.10"],
)
@pytest.mark.parametrize("then", ["release_mm", "invalidate_secondary_tlbs page=0"])
def test_what_an_mm_says_reaches_each_attachment(
    kind: type[ArmSmmuV3], answer: str, then: str
) -> None:
    setup = world_of(set_elsewhere(then, answer), {"arm_smmu_v3": kind})
    for seed in range(12):
        assert_fine(simulate(setup, seed=seed), then)


@pytest.mark.parametrize(
    ("then", "rule"),
    [
        ("release_mm", "released-address-spaces-unreachable"),
        ("invalidate_secondary_tlbs page=0", "flushes-reach-every-cache"),
    ],
)
def test_err_what_an_mm_says_goes_to_its_own_pasid(then: str, rule: str) -> None:
    classes = {"arm_smmu_v3": AssumesTheMmsPasid}
    setup = world_of(set_elsewhere(then, "ok"), classes)
    runs = [simulate(setup, seed=seed) for seed in range(12)]
    assert {one.property for run in runs for one in run.violations} == {rule}


def set_elsewhere(then: str, answer: str) -> str:
    """An mm that is bound, its domain set on a second PASID, work of the device there, and then."""
    domain = "SVA@smmu0.caller1.1"
    return f"""
        title = "set on the wrong PASID"
        stack = "iommufd"
        [[machine.unit]]
        name = "smmu0"
        driver = "arm-smmu-v3"
        [[machine.device]]
        name = "d1"
        unit = "smmu0"
        pasids = 16
        [callers]
        count = 1
        [[process]]
        name = "caller1"
        steps = [
            "bond = sva_bind_device device=d1 mm=caller1 -> ok",
            "p = alloc_global_pasid device=d1 -> =2",
            "attach_device_pasid device=d1 pasid=$p domain={domain} handle=h -> {answer}",
            "enable_wq at=d1 vm=caller1 mode=shared pasid=0 -> ok",
            "enqcmd_write at=d1 vm=caller1 pasid=$p tag=1 page=3 mapped=true",
            "{then} domain={domain} -> ok",
        ]
    """
