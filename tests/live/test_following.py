"""Directed runs: the schedule that the simulator knows happens on real hosts, faults and all."""

from pathlib import Path

import pytest

from clusters.live.course import Course, Step, Strike, course_of
from clusters.live.live_setup import LiveResult, LiveSetup, Progress
from clusters.live.ray_cluster import RayCluster
from clusters.live.run import run_live
from clusters.nemesis import Nemesis
from clusters.sim.world import Setup, simulate
from experiments.harness.found_live import find_again
from experiments.harness.options import Asked
from experiments.harness.replaying import schedule
from experiments.harness.say import Voice
from experiments.harness.setup import loaded, setup_of
from experiments.harness.store import Run
from experiments.harness.story import BRIEF_MAX, story
from protocol.machine import Device, Machine, Unit, Vm
from protocol.plan import Plan
from protocol.properties import PROPERTIES
from tests.live.test_faults import assert_sound

pytestmark = pytest.mark.live

MACHINE = Machine(
    units=(Unit("dmar0", prq=2),),
    devices=(Device("dsa0", "dmar0"),),
    vms=(Vm("vm1", (("dsa0",),)),),
    quota=4,
)
MIX = {"alloc": 3, "bind": 5, "enable": 2, "dma": 5, "unbind": 2, "free": 3}
PLANS = {"vm1.guest": Plan(operations=12, mix=MIX)}
FAULTS = (
    Nemesis("crash", "core", every_steps=(40, 60), lasts_steps=(3, 9), times=1),
    Nemesis("pause", "vdcm", every_steps=(20, 40), lasts_steps=(5, 9), times=1),
    Nemesis("partition", "vfio <-> core", every_steps=(30, 60), lasts_steps=(5, 9), times=1),
    Nemesis("fail", "", site="iommu.bind.sdev", nth=1),
    Nemesis("lose", "vm1.guest", every_steps=(120, 130), times=1),
)
SOUND = Setup(MACHINE, PLANS, properties=PROPERTIES, nemeses=FAULTS)
EXPERIMENT = """
title = "two guests, and a chain in the wrong order"
revision = "v1"
[pool]
pasids = 4
[guests]
count = 2
operations = 8
mix = { alloc = 3, bind = 5, dma = 2, free = 3 }
"""


def directed(folder: Path, setup: Setup, course: Course) -> LiveSetup:
    return LiveSetup(
        machine=setup.machine,
        plans=dict(setup.plans),
        seed=0,
        folder=folder,
        nemesis=course.nemesis,
        placement="each" if course.strikes else "packed",
        properties=setup.properties,
        lineup=setup.lineup,
        course=course,
    )


def sound_course() -> Course:
    tape = simulate(SOUND, 4).tape
    return course_of(SOUND, tape, "here")


def violated(result: LiveResult) -> set[str]:
    return {one.name for one in result.judged.properties if one.word in {"violated", "unmet"}}


def test_a_sound_schedule_happens_with_its_faults_at_their_places_and_nothing_is_violated(
    tmp_path: Path, cluster: RayCluster
) -> None:
    course = sound_course()
    struck = [mark.fault for mark in course.marks if isinstance(mark, Strike) and not mark.healed]
    assert sorted(struck) == ["crash", "lose", "partition", "pause"]
    result = run_live(directed(tmp_path, SOUND, course), inside=cluster)
    assert result.followed is not None
    assert result.followed.whole, result.followed
    assert_sound(result)
    assert result.match.matched == course.steps
    assert set(result.faults) == {
        "crash core", "pause vdcm.dsa0", "partition vfio <-> core", "lose vm1.guest",
        "fail iommu.bind.sdev",
    }  # fmt: skip


def test_what_a_cluster_violates_is_found_here_made_small_and_followed_there(
    tmp_path: Path, cluster: RayCluster
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(EXPERIMENT)
    asked = Asked(file)
    experiment = loaded(asked)
    setup = setup_of(experiment, str(file))
    run = Run(tmp_path / "runs", "wrong", 7)
    run.write_experiment(experiment)
    live = LiveSetup(
        machine=setup.machine,
        plans=dict(setup.plans),
        seed=7,
        folder=run.folder,
        properties=setup.properties,
        lineup=setup.lineup,
    )
    first = run_live(live, inside=cluster)
    assert "subscribers-called-in-order" in violated(first)

    found = find_again(asked, experiment, run, Voice(quiet=True))
    assert found.after is not None
    small = found.after.small
    assert small is not None
    assert small.shrunk.minimal
    assert small.result.steps < 40
    told = story(small.records, small.result.violations[0], brief=True)
    assert 1 < len(told) <= BRIEF_MAX + 2
    run.folder.rename(run.final)

    given = schedule(found.follow.split()[-1], None, tmp_path / "runs")
    again = setup_of(given.experiment, given.where)
    course = course_of(again, given.tape, "here")
    assert course.violated == small.shrunk.violation.property
    (tmp_path / "followed").mkdir()
    result = run_live(directed(tmp_path / "followed", again, course), inside=cluster)
    assert result.followed is not None
    assert result.followed.whole, result.followed
    assert course.violated in violated(result)
    assert result.match.matched == course.steps


def test_a_directed_run_that_is_interrupted_says_how_far_it_came(
    tmp_path: Path, cluster: RayCluster
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.phase == "following":
            raise KeyboardInterrupt

    steps = tuple(mark for mark in sound_course().marks if isinstance(mark, Step))
    course = Course(steps[:40], quiet=False, violated="", nemesis=())
    result = run_live(directed(tmp_path, SOUND, course), interrupt, inside=cluster)
    assert result.interrupted
    assert result.followed is not None
    assert not result.followed.whole
    assert result.reasons == ("interrupted while following",)
    assert not result.match.divergence
