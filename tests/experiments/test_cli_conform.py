"""`conform`: traces of a running kernel, as somebody uses it who has never seen it."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from clusters.conformance.linearize import Search
from tests.conformance.traces import DATA
from tests.experiments.command import Command

SMALL: Final = DATA / "io-t4-small.jsonl.gz"
MISUSE: Final = DATA / "io-t4-alloc-misuse.trace.gz"
HIGHEST: Final = '''"""The highest free number instead of the lowest."""
from actors.ioasid_core.mainline import MainlineCore

class Highest(MainlineCore):
    __slots__ = ()
    def number_for(self, alloc):
        last = min(alloc.max, len(self.lives) - 1)
        return next((n for n in range(last, alloc.min - 1, -1) if self.lives[n] is None), 0)

CLASSES = {"core": Highest}
'''

OTHER_DATA: Final = """
allocator = [
  {name = "C0a", helpers = "C0", data = "x"}, {name = "C0b", helpers = "C0"},
  {name = "C1", helpers = "C1"},
]
"""

Change = Callable[[dict[str, Any]], object]


def changed(here: Path, n: int, change: Change) -> Path:
    """A copy of the small run, with one call changed."""
    rows = [json.loads(line) for line in gzip.decompress(SMALL.read_bytes()).splitlines()]
    change(rows[n])
    path = here / "changed.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_a_trace_is_explained_in_both_forms(pasidlab: Command) -> None:
    for path in (SMALL, DATA / "io-t4-small.trace.gz"):
        ran = pasidlab("conform", path)
        assert ran.code == 0
        assert ran.err == "510 calls of 4 tasks\n"
        lines = ran.out.splitlines()
        assert lines[0] == f"explained  {path}, by linux-6.1"
        assert lines[1] == "calls      510 calls of 4 tasks, 17 inside them"
        assert [line.split()[0] for line in lines] == ["explained", "calls", "search", "time"]


def test_json_has_the_order_and_all_counts(pasidlab: Command) -> None:
    ran = pasidlab("conform", MISUSE, "--json", "-q")
    said = ran.object
    assert (ran.code, ran.err) == (0, "")
    assert (said["verdict"], said["exit_code"], said["window"]) == ("explained", 0, None)
    assert said["counts"]["calls"] == 2227
    assert said["counts"]["callbacks"] == 41
    assert said["calls"]["ioasid_free"] == 748
    assert len(said["order"]) == 2227 + 41
    assert said["again"] == f"pasidlab conform {MISUSE} --revision linux-6.1"


def test_the_largest_run_of_6_1_is_explained(pasidlab: Command) -> None:
    ran = pasidlab("conform", DATA / "io-t4-alloc.trace.gz")
    assert (ran.code, ran.out.split()[0]) == (0, "explained")


def test_a_wrong_result_is_drawn(pasidlab: Command, here: Path) -> None:
    path = changed(here, 5, lambda row: row.update(ret=13))
    ran = pasidlab("conform", path)
    assert ran.code == 1
    assert ran.out.startswith("not explained  changed.jsonl, by linux-6.1\n")
    assert "event 11, the return of call 5 of\n" in ran.out
    assert "before     free 11, 12, 13, 14\n" in ran.out
    assert "9       alloc(S1, 11..14, priv1)\n11      = 13 <--\n" in ran.out
    window = pasidlab("conform", path, "--json").object["window"]
    assert (window["calls"], window["last"], window["until"]) == ([5], 5, 11)
    assert window["states"] == [["free 11, 12, 13, 14"]]


def test_a_revision_of_ones_own_is_held_against_it(pasidlab: Command, here: Path) -> None:
    (here / "mine.py").write_text(HIGHEST)
    ran = pasidlab("conform", SMALL, "--revision", "./mine.py")
    assert ran.code == 1
    assert "by ./mine.py" in ran.out
    assert "= 1 <--" in ran.out


def test_calls_that_are_not_modelled_are_counted_and_named(pasidlab: Command) -> None:
    ran = pasidlab("conform", DATA / "io-sva.trace.gz", "--json")
    assert ran.code == 3
    assert ran.object["unknown_calls"] == {"iommu_sva_find": 854, "iommu_sva_alloc_pasid": 586}
    (reason,) = ran.object["reasons"]
    assert reason.endswith(
        "iommu_sva_find (854), iommu_sva_alloc_pasid (586); 867 calls inside them"
    )
    ran = pasidlab("conform", SMALL, "--revision", "sound")
    assert ran.code == 3
    assert "sound does not model ioasid_alloc (165), ioasid_find (149)" in ran.out


@pytest.mark.parametrize(
    ("machine", "code", "said"),
    [
        ("", 3, "does not model custom_alloc_C0 (4), custom_free_C0 (2)"),
        ('allocator = [{name = "C0b", helpers = "C0"}]', 2, "the machine has no allocator 'C0a'"),
        (OTHER_DATA, 1, "the entry of custom_alloc_C0(5, 7, priv0) in call 1261 of kt1"),
        ('allocator = [{nam = "C0a"}]', 2, "'nam' is not a key here; did you mean 'name'?"),
        ("[pool]\npasids = 3", 3, "does not model"),
        ("[", 2, "machine.toml: not TOML"),
    ],
)
def test_a_machine_says_what_the_trace_does_not(
    pasidlab: Command, here: Path, machine: str, code: int, said: str
) -> None:
    (here / "machine.toml").write_text(machine)
    path = DATA / "io-t4-alloc-misuse.jsonl.gz"
    ran = pasidlab("conform", path, "--machine", "machine.toml")
    assert ran.code == code
    assert said.lower() in (ran.out + ran.err).replace("\n           ", " ").lower()


def test_a_small_pool_has_no_more_numbers(pasidlab: Command, here: Path) -> None:
    (here / "machine.toml").write_text('getter = ["ktdrv_getter"]\n[pool]\npasids = 3\n')
    ran = pasidlab("conform", SMALL, "--machine", "machine.toml")
    assert (ran.code, "no order of the calls gets past" in ran.out) == (1, True)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--states", "20"), "more than 20 configurations"),
        (("--for", "1ms"), "more than 0.001 seconds"),
    ],
)
def test_a_budget_that_is_spent_makes_it_unknown(
    pasidlab: Command, options: tuple[str, ...], reason: str
) -> None:
    ran = pasidlab("conform", MISUSE, *options)
    assert ran.code == 3
    assert f"no order was found within the budget: {reason}" in ran.out


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda row: row["args"].pop("min"), 2, "call 0 (ioasid_alloc): args have no 'min'"),
        (lambda row: row["args"].update(max="x"), 2, "args.max is not a number of 32 bits"),
        (lambda row: row["args"].update(set=3), 2, "args.set is not a name or null"),
        (lambda row: row["args"].update(min=0), 3, "call 0 asks for numbers from 0, and the"),
        (lambda row: row.update(ret=70_000), 3, "a number as high as 70,000: the model's pool"),
    ],
)
def test_calls_that_cannot_be_taken(
    pasidlab: Command, here: Path, change: Change, code: int, said: str
) -> None:
    ran = pasidlab("conform", changed(here, 0, change))
    assert ran.code == code
    assert said in (ran.out + ran.err).replace("\n           ", " ")


def test_a_getter_that_was_not_recorded_is_missed(pasidlab: Command, here: Path) -> None:
    rows = gzip.decompress(SMALL.read_bytes()).decode().splitlines()
    (here / "x.jsonl").write_text("\n".join(row for row in rows if '"getter","args"' not in row))
    ran = pasidlab("conform", "x.jsonl")
    assert ran.code == 3
    assert "had its getter called, and that" in ran.out


def test_err_a_callback_in_the_wrong_place(pasidlab: Command, here: Path) -> None:
    rows = [json.loads(line) for line in gzip.decompress(SMALL.read_bytes()).splitlines()]
    back = next(row for row in rows if row["call"] == "getter")
    for call, said in (("ioasid_free", "is no callback of ioasid_find"), ("getter", "callback")):
        inner = {**back, "n": 9000, "call": call, "args": {"ioasid": 1, "private": "priv0"}}
        inner |= {"seq_invoke": 9001, "seq_return": 9002, "parent": back["parent"]}
        if call == "getter":
            inner["parent"] = back["n"]
        wide = {back["parent"]: 9004, back["n"]: 9003}
        late = [{**row, "seq_return": wide.get(row["n"], row["seq_return"])} for row in rows]
        (here / "x.jsonl").write_text("\n".join(map(json.dumps, [*late, inner])))
        ran = pasidlab("conform", "x.jsonl")
        assert (ran.code, said in ran.err) == (2, True), ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "missing argument 'TRACE'"),
        (("none.jsonl",), "none.jsonl: no such file"),
        ((".",), ".: is a folder, not a file"),
        (("/dev/null",), "/dev/null: is not a regular file"),
        (("right.toml",), "right.toml:2: is neither JSON Lines nor the text of ftrace"),
        ((str(SMALL), "--revison", "v4"), "no such option '--revison'"),
        ((str(SMALL), "--revision", "linux6.1"), "did you mean 'linux-6.1'?"),
        ((str(SMALL), "--machine", "none.toml"), "none.toml: no such file"),
        ((str(SMALL), "--for", "soon"), "'soon' is not a time"),
    ],
)
def test_err_what_is_wrong_is_said_in_a_sentence(
    pasidlab: Command, words: tuple[str, ...], said: str
) -> None:
    ran = pasidlab("conform", *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_ctrl_c_ends_it(pasidlab: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Search, "_spent", interrupted)
    ran = pasidlab("conform", SMALL)
    assert (ran.code, ran.err.splitlines()[-1]) == (130, "interrupted  (exit 130)")


def test_nobody_reads_the_answer() -> None:
    words = [sys.executable, "-m", "experiments.harness.cli", "conform", str(SMALL), "--json", "-q"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ran:
        assert ran.stdout is not None
        assert ran.stderr is not None
        ran.stdout.close()
        assert ran.stderr.read() == b""
    assert ran.returncode == 0
