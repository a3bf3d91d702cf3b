"""Faults of links between real processes: masked, recorded as seen, and re-executed to the end."""

from dataclasses import replace
from pathlib import Path

import pytest

from clusters.live.live_setup import LiveResult
from clusters.live.ray_cluster import RayCluster
from clusters.live.run import run_live
from clusters.nemesis import Nemesis
from protocol.facts.world import FaultBegun, FaultHealed
from protocol.history import decode_record
from tests.live.test_faults import assert_exactly_once, assert_sound, guests, ring
from tests.live.toys import RING

pytestmark = pytest.mark.live

FOR = 3.0
"""Seconds of faults; then all heals and comes to rest."""


def strike(fault: str, target: str, probability: float = 0.0) -> Nemesis:
    return Nemesis(
        fault, target, every_seconds=(0.1, 0.4), lasts_seconds=(0.2, 0.6), probability=probability
    )


def assert_masked(result: LiveResult, *faults: str) -> None:
    """Nothing was lost or done twice, and each fault was seen to begin and to end."""
    assert_sound(result)
    facts = [decode_record(line).fact for line in result.history.read_bytes().splitlines()]
    begun = [(one.fault, one.target) for one in facts if isinstance(one, FaultBegun)]
    healed = [(one.fault, one.target) for one in facts if isinstance(one, FaultHealed)]
    assert sorted(begun) == sorted(healed)
    assert {fault for fault, _ in begun} == set(faults)
    assert result.faults == {f"{f} {t}": begun.count((f, t)) for f, t in begun}


@pytest.mark.parametrize(
    "nemesis",
    [
        strike("partition", "a <-> b"),
        strike("drop", "c", 0.3),
    ],
    ids=lambda one: one.fault,
)
def test_a_fault_of_links_is_only_a_delay(
    tmp_path: Path, cluster: RayCluster, nemesis: Nemesis
) -> None:
    result = run_live(replace(ring(tmp_path, nemesis), seconds=FOR), inside=cluster)
    assert_masked(result, nemesis.fault)
    assert_exactly_once(tmp_path, RING)


def test_guests_go_on_through_all_of_them_and_kills(tmp_path: Path, cluster: RayCluster) -> None:
    nemeses = [
        strike("partition", "* -> *"),
        strike("drop", "one vdcm", 0.3),
        strike("duplicate", "core", 0.5),
        Nemesis("crash", "one kvm", every_seconds=(0.5, 1.0)),
    ]
    result = run_live(replace(guests(tmp_path, 60, *nemeses), seconds=FOR), inside=cluster)
    assert_sound(result)
    assert_exactly_once(tmp_path, tuple(result.match.epochs))
