"""`conform` of iommufd's system calls, as somebody uses it who has never seen it."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conformance.traces import DATA
from tests.experiments.command import Command

SMALL: Final = DATA / "fd-t2-small.jsonl.gz"
Row = dict[str, Any]


def rows() -> list[Row]:
    return [json.loads(line) for line in gzip.decompress(SMALL.read_bytes()).splitlines()]


def written(here: Path, changed: list[Row]) -> Path:
    path = here / "changed.jsonl"
    path.write_text("\n".join(map(json.dumps, changed)))
    return path


def first(every: list[Row], fits: Callable[[Row], bool]) -> Row:
    return next(row for row in every if fits(row))


@pytest.mark.parametrize(
    ("run", "revision", "calls"),
    [(SMALL, "linux-7.3", 578), (DATA / "fd612-t1.jsonl.gz", "linux-6.12", 589)],
)
def test_a_run_is_explained(pasidlab: Command, run: Path, revision: str, calls: int) -> None:
    ran = pasidlab("conform", run, "--json", "-q")
    said = ran.object
    assert (ran.code, said["verdict"]) == (0, "explained")
    assert (said["revision"], said["counts"]["calls"]) == (revision, calls)


def test_a_changed_result_is_not_explained_and_the_call_is_drawn(
    pasidlab: Command, tmp_path: Path
) -> None:
    every = rows()
    attach = first(every, lambda row: row["args"].get("op") == "PASID_ATTACH" and row["ret"] == 0)
    attach["ret"] = "-EBUSY"
    ran = pasidlab("conform", written(tmp_path, every))
    assert ran.code == 1
    assert "= -EBUSY" in ran.out
    assert "PASID_ATTACH(" in ran.out
    assert "<--" in ran.out


def test_what_is_not_modelled_is_counted_and_named(pasidlab: Command, tmp_path: Path) -> None:
    every = rows()
    free = first(every, lambda row: row["call"] == "domain_free")
    free["call"] = "iommufd_access_attach"
    ran = pasidlab("conform", written(tmp_path, every))
    assert ran.code == 3
    assert "does not model iommufd_access_attach (1)" in ran.out


def test_a_look_up_that_was_made_to_fail_is_the_machine_s_affair(
    pasidlab: Command, tmp_path: Path
) -> None:
    every = rows()
    check = first(every, lambda row: row["args"].get("op") == "PASID_CHECK_HWPT")
    inside = {check["n"]}
    check["ret"] = "-ENOENT"
    changed = written(tmp_path, [row for row in every if row["parent"] not in inside])
    machine = tmp_path / "machine.toml"
    machine.write_text("look_ups_fail = true\n")
    assert pasidlab("conform", changed, "-q").code == 1
    assert pasidlab("conform", changed, "-q", "--machine", machine).code == 0


def test_err_a_call_without_its_arguments_is_named(pasidlab: Command, tmp_path: Path) -> None:
    every = rows()
    free = first(every, lambda row: row["call"] == "domain_free")
    del free["args"]["domain"]
    ran = pasidlab("conform", written(tmp_path, every), "-q")
    assert ran.code == 2
    assert "has no argument 'domain'" in ran.err


@pytest.mark.parametrize("revision", ["v4", "linux-5.18", "linux-6.1"])
def test_err_a_revision_that_has_none_of_these_actors(pasidlab: Command, revision: str) -> None:
    ran = pasidlab("conform", SMALL, "--revision", revision)
    assert ran.code == 2
    assert f"--revision: '{revision}' is of actors that this trace says nothing of" in ran.err
    assert "; it is of iommufd)" in ran.err
