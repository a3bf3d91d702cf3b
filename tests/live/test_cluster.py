"""Clusters of several nodes for real: up, a run on one whose nodes die, and nothing of it left.

About 40 s on an idle machine with two processors.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clusters.live import fleet, lab, nodes
from clusters.live.fleet import Fleet, base, read_fleet

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]

CLI = (sys.executable, "-m", "experiments.harness.cli")
STRUCK = """
title = "nodes die while guests work"
[guests]
count = 2
operations = 60
mix = { alloc = 3, bind = 5, dma = 5, unbind = 2, free = 3 }
[finally]
quiet_seconds = 120
[live]
rounds = 3
"""
FAULTS = {
    "node-off": 'target = "n1"',
    "node-pause": 'target = "n2"',
    "node-cut": 'target = "n2"',
    "gcs-kill": "",
    "head-off": "",
}


def pasidlab(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*CLI, *words], capture_output=True, text=True, check=False)


def answer(*words: str) -> tuple[int, Any]:
    ran = pasidlab(*words, "--json")
    return ran.returncode, json.loads(ran.stdout)


def name_of(what: str) -> str:
    return f"{what}{os.getpid() % 10**7}"


def assert_nothing_left(was: Fleet) -> None:
    assert was.name not in fleet.fleets()
    assert nodes.strays(base() / was.name) == []
    sign = str(base() / was.name).encode()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert sign not in entry.read_bytes(), entry
        except OSError:
            continue
    for node in was.nodes:
        assert not node.netns or not (lab.NETNS / node.netns).exists()
    if was.network:
        assert not Path("/sys/class/net", lab.bridge(was.network)).exists()


@pytest.mark.skipif(bool(lab.refusal()), reason=lab.refusal())
def test_a_run_on_a_lab_whose_nodes_die_loses_nothing_and_the_lab_leaves_nothing(
    tmp_path: Path,
) -> None:
    name = name_of("lab")
    code, up = answer("cluster", "up", "lab", "--name", name, "--nodes", "2")
    assert code == 0, up
    was = read_fleet(name)
    try:
        tables = [
            f'[[nemesis]]\nfault = "{fault}"\n{target}\nevery_seconds = [{k}.0, {k}.5]\n'
            f"lasts_seconds = [0.3, 0.6]\ntimes = 1\n"
            for k, (fault, target) in enumerate(FAULTS.items(), start=1)
        ]
        (tmp_path / "struck.toml").write_text(STRUCK + "".join(tables))
        words = ("--cluster", name, "--seed", "7", "--runs-dir", str(tmp_path / "runs"))
        ran = pasidlab("chaos", str(tmp_path / "struck.toml"), *words)
        assert ran.returncode == 0, ran
        assert {line.split()[0] for line in ran.stdout.splitlines() if line[:1] == " "} == set(
            FAULTS
        )
        code, status = answer("cluster", "status", name)
        assert code == 0, status

        os.kill(status["clusters"][0]["nodes"][2]["pid"], signal.SIGKILL)
        code, status = answer("cluster", "status", name)
        assert code == 5
        assert [one["state"] for one in status["clusters"][0]["nodes"]] == ["up", "up", "off", "up"]
    finally:
        assert pasidlab("cluster", "down", name).returncode == 0
    assert_nothing_left(was)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_up_that_is_interrupted_leaves_nothing_and_down_ends_what_a_killed_one_left(
    number: signal.Signals,
) -> None:
    name = name_of("cut")
    up = subprocess.Popen(
        [*CLI, "cluster", "up", "laptop", "--name", name, "--nodes", "1"],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    while not (base() / name / "head" / "session_latest").exists():
        assert up.poll() is None
    was = read_fleet(name)
    up.send_signal(number)
    code = up.wait(timeout=60)
    if number is signal.SIGINT:
        assert code == 130
    else:
        assert nodes.strays(base() / name)
        assert pasidlab("cluster", "down", name).returncode == 0
    assert_nothing_left(was)
