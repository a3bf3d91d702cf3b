"""`list`, `schema`, `doctor`: what there is."""

import json
from pathlib import Path

import msgspec
import pytest

from clusters.nemesis import FAULTS
from experiments.harness import verb_doctor
from experiments.harness.verb_list import NOUNS
from protocol.calls import CALLS
from protocol.plan import MISBEHAVIOURS, OPERATIONS, SVA_OPERATIONS
from protocol.properties import PROPERTIES
from tests.experiments.command import Command


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_is_listed_shortly_and_whole_and_as_one_object(
    pasidlab: Command, noun: str
) -> None:
    pasidlab("run", "right.toml", "--seed", "7")
    short, whole = pasidlab("list", noun), pasidlab("list", noun, "-v")
    things = pasidlab("list", noun, "--json").object[noun]
    assert short.code == whole.code == 0
    assert len(short.out.splitlines()) == len(things) > 0
    for line, thing in zip(short.out.splitlines(), things, strict=True):
        assert line.startswith(thing["name"])
        assert f"{thing['name']}\n    " in whole.out


def test_what_is_listed_is_what_there_is(pasidlab: Command) -> None:
    def names(noun: str) -> list[str]:
        return [thing["name"] for thing in pasidlab("list", noun, "--json").object[noun]]

    assert names("properties") == [one.name for one in PROPERTIES]
    assert names("operations") == [*OPERATIONS, *SVA_OPERATIONS, *CALLS]
    assert names("misbehaviours") == list(MISBEHAVIOURS)
    assert names("faults") == list(FAULTS)
    assert "core.alloc.nospc" in names("sites")


def test_no_experiment_of_the_tree_is_wrong(pasidlab: Command) -> None:
    out = pasidlab("list", "experiments").out
    assert "normal_life.toml" in out
    assert "(wrong: " not in out


def test_runs_are_listed_in_their_order_with_their_verdict(pasidlab: Command) -> None:
    assert pasidlab("list", "runs").out == ""
    pasidlab("run", "right.toml", "--seed", "7")
    pasidlab("run", "wrong.toml", "--seed", "0x5eed")
    first, second = sorted(pasidlab("list", "runs").out.splitlines(), key=lambda line: line[5:])
    assert first.startswith("runs/right/")
    assert first.endswith("  pass  run  seed 0x7")
    assert second.endswith("  violation  run  seed 0x5eed")


def test_a_schema_is_json_and_what_we_write_has_its_keys(pasidlab: Command, here: Path) -> None:
    for what in ("experiment", "record", "result"):
        schema = json.loads(pasidlab("schema", what).out)
        assert schema["$schema"].startswith("https://json-schema.org/")
    pasidlab("run", "right.toml", "--seed", "7")
    result = json.loads((here / "runs" / "latest" / "result.json").read_text())
    assert set(result) == set(schema["$defs"]["Result"]["properties"])


def test_the_doctor_says_what_is_well(pasidlab: Command) -> None:
    ran = pasidlab("doctor")
    assert ran.code == 0
    assert "ok  determinism  the same schedule twice" in ran.out
    found = pasidlab("doctor", "--json").object
    assert found["ok"] is True
    assert {one["what"] for one in found["findings"]} >= {"python", "msgspec", "ray", "disk"}


def test_err_the_doctor_says_what_is_not(
    pasidlab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb_doctor, "NEEDED", ("no-such-package",))
    monkeypatch.setattr(verb_doctor, "DISK_MIN", 1 << 80)
    ran = pasidlab("doctor")
    assert ran.code == 2
    assert "wrong  no-such-package  not installed" in ran.out
    assert "wrong  disk " in ran.out


def test_what_is_no_result_is_listed_as_cut_off(pasidlab: Command, here: Path) -> None:
    for k, data in enumerate((b"", b"{", b'{"verdict":"fine"}', msgspec.json.encode([1]))):
        folder = here / "runs" / "x" / f"{k}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_bytes(data)
    assert pasidlab("list", "runs").out.count("cut off: no result") == 4
