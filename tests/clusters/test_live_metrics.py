"""What a host tells Prometheus, and that the board in `deploy/` shows that and nothing else."""

import json
import re
from pathlib import Path

import pytest

from clusters.live.meter import Meter
from clusters.live.ray_metrics import METRICS, SWITCH, TAGS, metrics_of, readings
from protocol.facts import FreeRequested, PasidReclaimed
from protocol.facts.process import OpFail, OpOk
from tests.live.toys import RING
from tests.live.without_ray import TWO_HOSTS, Wire, assert_ring, started

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
BOARD = DEPLOY / "grafana" / "pasidlab.json"
RECLAIMED = PasidReclaimed(7, 1, 1, 0, (), 0, 0, 0)


def lived(tmp_path: Path) -> Wire:
    wire = started(tmp_path, TWO_HOSTS)
    wire.run()
    assert_ring(wire)
    return wire


def test_the_board_shows_every_metric_and_no_other() -> None:
    board = json.loads(BOARD.read_text())
    shown = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    named = {name for said in shown for name in re.findall(r"ray_(\w+)\{", said)}
    assert named == set(METRICS)
    used = set(re.findall(r"(\w+)=~", " ".join(shown)))
    assert used == set(TAGS)


def test_counters_are_shown_as_rates_and_gauges_as_they_are() -> None:
    text = BOARD.read_text()
    for name, metric in METRICS.items():
        assert (f"rate(ray_{name}{{" in text) == (metric.kind == "counter"), name
        assert name.endswith("_total") == (metric.kind == "counter"), name


def test_prometheus_keeps_what_the_board_shows() -> None:
    text = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    [kept] = set(re.findall(r"regex: (\S+)", text))
    assert all(re.fullmatch(kept, f"ray_{name}") for name in METRICS)


def test_a_host_has_a_value_for_every_metric(tmp_path: Path) -> None:
    wire = lived(tmp_path)
    for live in wire.hosts.values():
        now = readings(live.status(), live.meter, wire.now)
        assert set(now) == set(METRICS) - {"pasidlab_batch_frames"}
        assert now["pasidlab_messages_total"] == sum(one.n for one in live.hosts.values())
        assert now["pasidlab_frames_total"] >= now["pasidlab_calls_total"] > 0
        assert now["pasidlab_journal_appends_total"] > 0
        assert now["pasidlab_journal_seconds_total"] >= now["pasidlab_journal_seconds_max"] > 0
        assert (now["pasidlab_epoch"], now["pasidlab_recovered_messages"]) == (1, 0)


def test_a_host_that_came_back_says_what_that_took(tmp_path: Path) -> None:
    wire = lived(tmp_path)
    live = wire.crash("left")
    wire.run()
    now = readings(live.status(), live.meter, wire.now)
    assert now["pasidlab_epoch"] == 2
    assert now["pasidlab_recovered_messages"] > len(RING)
    assert now["pasidlab_recovery_seconds"] > 0


def test_a_pasid_is_as_old_as_its_first_free_until_it_is_reclaimed() -> None:
    meter = Meter()
    freed = FreeRequested(7, 1, 1, "vfio", effective=True, state="ACTIVE")
    meter.fact(freed, 10)
    meter.fact(freed, 20)
    meter.fact(FreeRequested(8, 1, 1, "vfio", effective=False, state="ACTIVE"), 5)
    assert (meter.oldest_ns(25), len(meter.pending)) == (15, 1)
    meter.fact(RECLAIMED, 30)
    assert (meter.oldest_ns(40), meter.reclaimed) == (0, 1)
    meter.fact(freed, 0)  # Lived again, before the first tick.
    assert (meter.oldest_ns(1_000), meter.oldest_ns(1_100)) == (0, 100)


def test_what_ends_while_a_host_lives_its_journal_again_is_no_life_more() -> None:
    meter = Meter()
    meter.fact(RECLAIMED, 0)
    meter.lived_again(5, 7)
    assert (meter.recovered, meter.recovery_ns, meter.reclaimed) == (5, 7, 0)
    meter.fact(RECLAIMED, 9)
    assert meter.reclaimed == 1


def test_operations_are_counted_by_how_they_ended() -> None:
    meter = Meter()
    for fact in (OpOk(1, "bind"), OpOk(2, "bind"), OpFail(3, "bind", "EBUSY")):
        meter.fact(fact, 0)
    assert meter.outcomes == {"ok": 2, "fail": 1}


@pytest.mark.parametrize("word", ["0", "false"])
def test_where_ray_collects_no_metrics_none_are_made(
    word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, word)
    assert metrics_of("run", "host") is None
