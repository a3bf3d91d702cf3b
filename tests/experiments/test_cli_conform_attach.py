"""`conform` of the IOMMU core's calls, as somebody uses it who has never seen it."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conformance.traces import DATA
from tests.experiments.command import Command

SMALL: Final = DATA / "7.3-t4-small.jsonl.gz"
OLD: Final = DATA / "6.12-t4-small.jsonl.gz"
ATTACH: Final = "iommu_attach_device_pasid"
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
    ("run", "revision", "tasks"),
    [
        (SMALL, "linux-7.3", 4),
        (OLD, "linux-6.12", 4),
        (DATA / "6.12-t4-small.trace.gz", "linux-6.12", 5),
        (DATA / "6.12-t1-hotplug.trace.gz", "linux-6.12", 1),
        (DATA / "7.3-t4-reuse.trace.gz", "linux-7.3", 4),
        (DATA / "6.12-t4-rid-begin.jsonl.gz", "linux-6.12", 4),
    ],
    ids=lambda one: getattr(one, "name", one),
)
def test_a_run_is_explained_by_the_kernel_that_it_looks_like(
    pasidlab: Command, run: Path, revision: str, tasks: int
) -> None:
    ran = pasidlab("conform", run, "--json", "-q")
    said = ran.object
    assert (ran.code, said["verdict"]) == (0, "explained")
    assert (said["revision"], said["counts"]["tasks"]) == (revision, tasks)


def test_the_other_kernel_does_not_explain_it_and_the_call_is_drawn(pasidlab: Command) -> None:
    ran = pasidlab("conform", OLD, "--revision", "linux-7.3")
    assert ran.code == 1
    assert "remove_dev_pasid(" in ran.out
    assert "> remove(" in ran.out
    assert "<--" in ran.out


def test_a_driver_that_was_told_something_else_is_not_explained(
    pasidlab: Command, here: Path
) -> None:
    every = rows()
    first(every, lambda row: row["args"].get("old") == "paging0")["args"]["old"] = "paging1"
    ran = pasidlab("conform", written(here, every))
    assert ran.code == 1
    assert "the entry of set_dev_pasid(" in ran.out.replace("\n           ", " ")
    assert "before" in ran.out


def test_a_look_up_that_saw_another_handle_is_not_explained(pasidlab: Command, here: Path) -> None:
    every = rows()
    gets = [row for row in every if row["call"] == "iommu_attach_handle_get"]
    get = first(gets, lambda row: row["ret"].startswith("h"))
    get["ret"] = "h9.9"
    ran = pasidlab("conform", written(here, every), "--json")
    assert (ran.code, ran.object["window"]["last"]) == (1, get["n"])


def test_an_owner_that_got_in_is_not_explained(pasidlab: Command, here: Path) -> None:
    """What writes and asks no driver is loosened: what the others did does not matter."""
    old = gzip.decompress((DATA / "6.12-t4-rid-begin.jsonl.gz").read_bytes()).splitlines()
    every = [json.loads(line) for line in old]
    first(every, lambda row: row["ret"] == "-EPERM")["ret"] = 0
    ran = pasidlab("conform", written(here, every), "--revision", "linux-6.12")
    assert ran.code == 1
    assert "claim(" in ran.out


def test_without_the_driver_it_is_unknown(pasidlab: Command, here: Path) -> None:
    every = [row for row in rows() if row["kind"] != "driver"]
    ran = pasidlab("conform", written(here, every))
    assert ran.code == 3
    assert "had the driver called, and" in ran.out


@pytest.mark.parametrize(
    ("fits", "change", "said"),
    [
        (ATTACH, {"dev": "z9"}, "the machine has no device 'z9': describe it in a [[device]]"),
        (ATTACH, {"domain": "z9"}, "the machine has no domain 'z9': describe it in a [[domain]]"),
        (ATTACH, {"pasid": "x"}, "args.pasid is not a number of 32 bits"),
        ("set_dev_pasid", {"dev": 3}, "args.dev is not a name"),
    ],
)
def test_err_what_cannot_be_taken(
    pasidlab: Command, here: Path, fits: str, change: Row, said: str
) -> None:
    every = rows()
    first(every, lambda row: row["call"] == fits)["args"].update(change)
    ran = pasidlab("conform", written(here, every))
    assert ran.code == 2
    assert said in (ran.out + ran.err).replace("\n", " ")


def test_err_an_errno_that_no_driver_gives(pasidlab: Command, here: Path) -> None:
    every = rows()
    first(every, lambda row: row["call"] == "set_dev_pasid")["ret"] = "-EWRONG"
    ran = pasidlab("conform", written(here, every))
    assert (ran.code, "'-EWRONG' is no errno that a driver gives" in ran.out + ran.err) == (2, True)


def test_a_revision_that_says_nothing_of_it_is_the_base(pasidlab: Command) -> None:
    assert pasidlab("conform", SMALL, "--revision", "sva-off-on-x86").code == 0


def test_err_a_revision_of_another_stack(pasidlab: Command) -> None:
    ran = pasidlab("conform", SMALL, "--revision", "v4")
    assert ran.code == 2
    assert "--revision: 'v4' is of actors that this trace says nothing of (core, " in ran.err
    assert "; it is of iommu_core)" in ran.err
