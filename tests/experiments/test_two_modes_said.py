"""What the user says of healing, and what is said of what is owed in the end."""

import json
from pathlib import Path
from typing import Final

import pytest

from experiments.harness import living
from experiments.harness.config import read_experiment
from experiments.harness.setup import setup_of
from protocol.errors import ClusterError, ExperimentError
from tests.experiments.command import Command

FROZEN: Final = """
title = "A device that stops answering, and never comes back"
[guests]
count = 2
[[process]]
name  = "vm1.guest"
steps = ["p = alloc", "bind p dsa0", "dma p dsa0 x9", "free p", "q = alloc"]
[[nemesis]]
fault       = "pause"
target      = "TARGET"
every_steps = [60, 60]
lasts_steps = [100000, 100000]
times       = 1
[finally]
heal = ["crash"]
"""
CORE: Final = FROZEN.replace("TARGET", "core")
DEVICE: Final = FROZEN.replace("TARGET", "dsa0")


def test_what_the_file_and_the_command_line_say_is_what_the_simulator_heals() -> None:
    for text, heal in (("true", True), ("false", False), ('["crash"]', ("crash",)), ("[]", ())):
        said = read_experiment(f'title = "x"\n[finally]\nheal = {text}\n', "x")
        assert setup_of(said, "x").heal == heal
    changed = read_experiment(DEVICE, "x", ('finally.heal=["pause dsa0", "kvm"]',))
    assert setup_of(changed, "x").heal == ("pause dsa0", "kvm")


def test_err_a_word_that_heals_nothing_is_told_the_place_and_the_nearest_spelling() -> None:
    for word, hint in (("crsh", "crash"), ("vdcm.dsa1", "vdcm.dsa0"), ("vm1.kv", "vm1.kvm")):
        said = read_experiment(DEVICE, "t.toml", (f'finally.heal=["pause", "{word}"]',))
        with pytest.raises(ExperimentError) as error:
            setup_of(said, "t.toml")
        assert str(error.value).startswith(
            f"t.toml: $.finally.heal[1]: '{word}' is neither a fault"
        )
        faults = "crash, pause, partition, delay, duplicate, drop"
        assert f"; did you mean '{hint}'? (faults: {faults})" in str(error.value)


def test_what_only_the_frozen_owe_is_said_beside_the_pass(pasidlab: Command, here: Path) -> None:
    (here / "small.toml").write_text(DEVICE)
    ran = pasidlab("explore", "small.toml", "--seed", "1", "--schedules", "20")
    assert ran.code == 0
    result = json.loads(next(here.glob("runs/*/*/result.json")).read_text())
    (message,) = [one["message"] for one in result["properties"] if one.get("message")]
    assert message.startswith("excused: operation 3 of vm1.guest, dma with PASID 1 ")
    assert "\nexcused    operations-end: operation 3 of vm1.guest, dma with PASID 1 " in ran.out
    assert "dsa0 (frozen)\n" in ran.out


def test_err_whoever_waits_for_the_frozen_is_said_with_age_and_owner(
    pasidlab: Command, here: Path
) -> None:
    (here / "small.toml").write_text(CORE)
    ran = pasidlab("explore", "small.toml", "--seed", "1", "--schedules", "20")
    assert ran.code == 1
    assert "violation  operations-end" in ran.out
    assert " has not ended for " in ran.out
    assert "; it goes through vm1.guest, vfio; frozen: core\n" in ran.out


def test_a_run_that_does_not_come_to_rest_says_what_is_owed_and_what_was_busy(
    pasidlab: Command, here: Path
) -> None:
    (here / "small.toml").write_text(DEVICE)
    short = ("--max-steps", "60", "--set", "finally.quiet_steps=20", "--set", "finally.heal=true")
    ran = pasidlab("run", "small.toml", "--seed", "1", *short)
    assert ran.code == 3
    assert "  busy to the end: of the last " in ran.out
    assert "  operations-end: operation " in ran.out
    assert ": the end was not quiet\n" in ran.out


@pytest.mark.parametrize(("heal", "said"), [('["crash"]', True), ("true", False)])
def test_a_live_run_says_that_it_heals_everything(
    pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch, heal: str, said: bool
) -> None:
    def no_cluster(*_: object) -> None:
        raise ClusterError("there is none")

    monkeypatch.setattr(living, "run_live", no_cluster)
    (here / "small.toml").write_text(DEVICE)
    ran = pasidlab("chaos", "small.toml", "--seed", "1", "--set", f"finally.heal={heal}")
    assert ran.code == 5
    assert "not honoured live: " in ran.err
    assert ("finally.heal (live, everything that lasts is healed in the end)" in ran.err) is said
    wrong = pasidlab("chaos", "small.toml", "--set", 'finally.heal=["crsh"]')
    assert wrong.code == 2
    assert "$.finally.heal[0]: 'crsh' is neither" in wrong.err
