"""`explore --strategy breadth-first` and `depth-first`, as who never used them would use them."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from clusters.live.processes import descendants
from clusters.sim.search import handling
from clusters.sim.search.breadth_first import CHUNK, BreadthFirst
from clusters.sim.search.handling import CASES_MAX
from experiments.harness import searching
from experiments.harness.result import Exit
from tests.experiments.command import JUDGED, Command, stored

pytestmark = pytest.mark.long

ROOT: Final = Path(__file__).resolve().parents[2]
BREADTH: Final = ("--strategy", "breadth-first", "--seed", "7")
DEPTH: Final = ("--strategy", "depth-first", "--seed", "7")
TWO: Final = """
title = "Two guests take a PASID and give it back"
[pool]
pasids = 2
[guests]
count = 2
[[process]]
name = "vm1.guest"
steps = ["p = alloc", "free p"]
[[process]]
name = "vm2.guest"
steps = ["p = alloc", "free p"]
"""
OTHER_PLAN: Final = TWO.replace('"p = alloc", "free p"', '"p = alloc"', 1)
ONE_IS_LOST: Final = f'{TWO}[[nemesis]]\nfault = "lose"\ntarget = "vm1.guest"\n'
MIX: Final = """
title = "A guest that may do anything, very often"
[guests]
operations = 40
mix = { alloc = 3, bind = 4, dma = 4, unbind = 1, free = 4 }
"""
BOUNDS: Final = {
    "--states": ("100", "the bound of 100 states was reached"),
    "--for": ("1ms", "the time was up"),
    "--memory": ("1", "the bound of 1 GB of memory was reached"),
}


@pytest.fixture(autouse=True)
def files(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The experiments."""
    monkeypatch.delenv("PASIDLAB_JOBS", raising=False)
    texts = {"two": TWO, "other_plan": OTHER_PLAN, "one_is_lost": ONE_IS_LOST, "mix": MIX}
    for name, text in texts.items():
        (here / f"{name}.toml").write_text(text)


def parts(here: Path) -> list[Path]:
    """Folders that are not whole."""
    return list(here.glob("runs/**/*.part"))


# --- Verdicts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", [BREADTH, DEPTH])
def test_a_proof_is_0_and_says_its_bounds(
    pasidlab: Command, here: Path, search: tuple[str, ...]
) -> None:
    ran = pasidlab("explore", "right.toml", *search)
    assert ran.code == 0
    assert f"\nproved     {JUDGED} properties hold within these bounds\n" in ran.out
    bounds = (
        "1 VM, 1 device, 1 PASID: scripts of 5 steps",
        "every order of messages and timers",
        "what comes before the first operation in one order",
    )
    assert f"\nbounds     {bounds[0]}\n           {bounds[1]}\n           {bounds[2]}\n" in ran.out
    assert re.search(r"\nsearched   2,143 states, [0-9,]+ moves, depth 3[68] \(", ran.out)
    assert "\nwitnesses\n  pasid-reused  seen\n" in ran.out
    result = stored(here)
    assert (result["verdict"], result["proof"]) == ("proved", "; ".join(bounds))
    assert result["counts"]["states"] == 2_143
    assert result["again"] == ran.last.removeprefix("again      ").replace(
        (here / "runs" / "latest").resolve().name, "<folder>"
    )
    assert {one["status"] for one in result["properties"]} == {"held"}
    assert all(len(line) <= 80 for line in ran.out.splitlines() if "pasidlab" not in line)


def test_a_violation_is_1_the_shortest_breadth_first_and_replays(
    pasidlab: Command, here: Path
) -> None:
    steps = {}
    for name, search in (("breadth", BREADTH), ("depth", DEPTH)):
        ran = pasidlab("explore", "wrong.toml", *search, "--no-shrink")
        assert ran.code == Exit.VIOLATION
        assert "\nviolation  outcomes-as-scripted    at step " in ran.out
        assert "unbind ended in ok   <- violation" in ran.out
        assert ran.last.startswith("replay     pasidlab replay runs/wrong/")
        (example,) = stored(here)["counterexamples"]
        assert example["token"] == ""
        again = pasidlab(*ran.last.split()[2:])
        assert again.code == Exit.VIOLATION
        assert example["message"] in again.out
        assert f"{example['steps']} steps, as recorded" in again.out
        steps[name] = example["steps"]
    assert steps["breadth"] < steps["depth"]


@pytest.mark.parametrize("search", [BREADTH, DEPTH])
def test_what_a_search_finds_is_made_small_and_explained_too(
    pasidlab: Command, here: Path, search: tuple[str, ...]
) -> None:
    ran = pasidlab("explore", "wrong.toml", *search)
    assert "\nguilty     " in ran.out
    found, small = stored(here)["counterexamples"]
    assert small["steps"] < small["shrunk_from"] == found["steps"]
    assert pasidlab("replay", found["file"].replace("<folder>", "../wrong/latest")).code == 1
    assert pasidlab(*ran.last.split()[2:]).code == Exit.VIOLATION


@pytest.mark.parametrize("search", [BREADTH, DEPTH])
@pytest.mark.parametrize("option", BOUNDS)
def test_a_search_that_ends_at_a_bound_is_3_and_says_which(
    pasidlab: Command,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    search: tuple[str, ...],
    option: str,
) -> None:
    value, why = BOUNDS[option]
    if option == "--memory":
        monkeypatch.setattr(searching, "resident", lambda: 2 << 30)
    ran = pasidlab("explore", "right.toml", *search, option, value)
    assert ran.code == Exit.UNKNOWN
    assert f"\nunknown    {why}; nothing was violated until then\n" in ran.out
    result = stored(here)
    assert (result["verdict"], result["proof"]) == ("unknown", "")
    (folder,) = (here / "runs" / "right").glob("2*")
    stopped = search == BREADTH
    assert (folder / "search.bin").is_file() is stopped
    assert (f"--resume {folder.relative_to(here)}" in ran.last) is stopped


@pytest.mark.parametrize("search", [BREADTH, DEPTH])
def test_a_witness_that_never_happens_makes_it_3(
    pasidlab: Command, search: tuple[str, ...]
) -> None:
    ran = pasidlab("explore", "unseen.toml", *search)
    assert ran.code == Exit.UNKNOWN
    assert "\nunknown    nothing is violated within these bounds, but\n" in ran.out
    assert "\n  page-answered: it never happened\n" in ran.out
    assert "\n  pasid-reused   seen\n  page-answered  never\n" in ran.out


def test_delays_bound_the_orders_and_the_bound_is_said(pasidlab: Command) -> None:
    counts = []
    for depth in ("1", "2"):
        ran = pasidlab("explore", "right.toml", *BREADTH, "--depth", depth)
        assert ran.code == 0
        said = "1 delay" if depth == "1" else "2 delays"
        assert f"\n           the plain order with at most {said}\n" in ran.out
        counts.append(int(re.findall(r"searched   ([0-9,]+) ", ran.out)[0].replace(",", "")))
    assert counts[0] < counts[1]


def test_json_is_one_object_and_quiet_is_quiet(pasidlab: Command) -> None:
    said = pasidlab("explore", "right.toml", *BREADTH, "--json")
    assert (said.object["verdict"], said.err) == ("proved", "")
    said = pasidlab("explore", "wrong.toml", *BREADTH, "--json")
    assert said.object["exit_code"] == said.code == 1
    ran = pasidlab("explore", "right.toml", *BREADTH, "-q")
    assert (ran.code, ran.err) == (0, "")


# --- Symmetry -------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", [BREADTH, DEPTH])
def test_guests_that_are_alike_are_exchanged_with_the_same_verdict(
    pasidlab: Command, search: tuple[str, ...]
) -> None:
    plain = pasidlab("explore", "two.toml", *search, "--json").object
    ran = pasidlab("explore", "two.toml", *search, "--symmetry", "--json").object
    assert ran["verdict"] == plain["verdict"] == "proved"
    assert ran["properties"] == plain["properties"]
    assert ran["counts"]["states"] <= plain["counts"]["states"]
    assert ran["proof"].endswith("; vm1, vm2 can be exchanged")
    assert "--symmetry" in ran["again"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("other_plan", "vm1 and vm2 are not alike: their guests do not do the same"),
        ("one_is_lost", "vm1 and vm2 are not alike: the fault 'lose' is meant for vm1.guest"),
        ("right", "symmetry wants 2 to 4 VMs that are alike, and there are 1"),
    ],
)
def test_err_guests_that_differ_are_refused_by_name(
    pasidlab: Command, here: Path, name: str, says: str
) -> None:
    ran = pasidlab("explore", f"{name}.toml", *BREADTH, "--symmetry")
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert not (here / "runs").exists()


# --- To go on -------------------------------------------------------------------------------------


def same(result: dict[str, Any]) -> dict[str, Any]:
    """Without the command line, which says what it went on from."""
    return {key: value for key, value in result.items() if key != "again"}


@pytest.mark.parametrize("name", ["right", "wrong", "unseen", "two"])
def test_a_stopped_search_goes_on_to_the_same_result(
    pasidlab: Command, here: Path, name: str
) -> None:
    code = pasidlab("explore", f"{name}.toml", *BREADTH, "--no-shrink").code
    whole = stored(here)
    words = ("explore", f"{name}.toml", *BREADTH, "--no-shrink", "--states")
    first = pasidlab(*words, "150")
    assert first.code == Exit.UNKNOWN
    second = pasidlab(*words, "300", "--resume", "latest")
    assert second.code == Exit.UNKNOWN
    folder = second.last.split()[-1]
    assert pasidlab(*words[:-1], "--resume", folder).code == code
    assert same(stored(here)) == same(whole)


def test_what_is_said_at_the_end_of_a_stopped_search_goes_on(pasidlab: Command, here: Path) -> None:
    ran = pasidlab("explore", "right.toml", *BREADTH, "--states", "150")
    assert pasidlab(*ran.last.split()[2:]).code == 0
    assert stored(here)["verdict"] == "proved"


def test_err_what_cannot_go_on_is_one_sentence_and_leaves_nothing(
    pasidlab: Command, here: Path
) -> None:
    pasidlab("explore", "right.toml", *BREADTH)
    proved = (here / "runs" / "latest").resolve()
    pasidlab("explore", "right.toml", *BREADTH, "--states", "150")
    stopped = (here / "runs" / "latest").resolve()
    damaged = here / "runs" / "damaged"
    damaged.mkdir()
    (damaged / "result.json").write_bytes((stopped / "result.json").read_bytes())
    (damaged / "search.bin").write_bytes((stopped / "search.bin").read_bytes()[:-40])
    other = "is the search of another experiment or of other bounds"
    for name, run, more, says in (
        ("right", proved, (), "there is no search.bin: it was not a stopped search"),
        ("two", stopped, (), other),
        ("right", stopped, ("--depth", "2"), other),
        ("right", stopped, ("--set", "pool.pasids=2"), other),
        ("right", damaged, (), "search.bin: not a stopped search: "),
        ("right", here / "nowhere", (), "is no run"),
    ):
        ran = pasidlab("explore", f"{name}.toml", *BREADTH, *more, "--resume", run)
        assert (ran.code, ran.out) == (Exit.USAGE, ""), says
        assert says in ran.err
        assert ran.err.count("\n") == 1
        assert not parts(here)
    assert len(list((here / "runs").glob("*/2*"))) == 2


# --- Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((*BREADTH, "--schedules", "9"), "--schedules: strategy 'breadth-first' has no use for"),
        ((*BREADTH, "--keep-going"), "--keep-going: strategy 'breadth-first' has no use for it"),
        ((*BREADTH, "--no-determinism"), "--no-determinism: strategy 'breadth-first' has no use"),
        ((*DEPTH, "--depth", "2"), "strategy 'depth-first' has none"),
        ((*DEPTH, "--resume", "latest"), "--resume: strategy 'depth-first' has no use for it"),
        ((*DEPTH, "-j", "2"), "-j: strategy 'depth-first' has no use for it"),
        ((*DEPTH, "-j", "auto"), "-j: strategy 'depth-first' has no use for it"),
        ((*DEPTH, "--on", "ray"), "--on: strategy 'depth-first' has no use for it"),
        (("--states", "9"), "--states: strategy 'portfolio' has no use for it"),
        (("--memory", "9"), "--memory: strategy 'portfolio' has no use for it"),
        (("--symmetry",), "--symmetry: strategy 'portfolio' has no use for it"),
        (("--resume", "latest"), "--resume: strategy 'portfolio' has no use for it"),
        ((*BREADTH, "--states", "0"), "0"),
    ],
)
def test_err_options_that_mean_nothing_are_refused_before_anything_is_written(
    pasidlab: Command, here: Path, words: tuple[str, ...], says: str
) -> None:
    ran = pasidlab("explore", "right.toml", *words)
    assert ran.code == Exit.USAGE
    assert says in " ".join(ran.err.split())
    assert not (here / "runs").exists()


def test_one_job_and_the_environment_do_not_keep_depth_first_from_working(
    pasidlab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pasidlab("explore", "right.toml", *DEPTH, "-j", "1").code == 0
    monkeypatch.setenv("PASIDLAB_JOBS", "2")
    assert pasidlab("explore", "right.toml", *DEPTH).code == 0


@pytest.mark.parametrize(("words", "most"), [(BREADTH, 4), (DEPTH, 4), (DEPTH, CASES_MAX)])
def test_err_chance_with_too_many_answers_is_one_sentence_and_leaves_nothing(
    pasidlab: Command,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    most: int,
) -> None:
    monkeypatch.setattr(handling, "CASES_MAX", most)
    ran = pasidlab("explore", "mix.toml", *words)
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert f"draws more than {most:,} different answers; a search tries them all: give" in ran.err
    assert ran.err.count("\n") == 1
    assert not (here / "runs").exists()


# --- Interrupts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_in_the_middle_is_130_and_goes_on_where_it_was(
    pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch, number: int, jobs: str
) -> None:
    assert pasidlab("explore", "right.toml", *BREADTH).code == 0
    whole = stored(here)
    judge = BreadthFirst._judge

    def interrupted(self: Any, at: int, *rest: Any) -> bool:  # noqa: ANN401  as it comes
        if at == CHUNK:
            os.kill(os.getpid(), number)
        return judge(self, at, *rest)

    monkeypatch.setattr(BreadthFirst, "_judge", interrupted)
    ran = pasidlab("explore", "right.toml", *BREADTH, "-j", jobs)
    monkeypatch.undo()
    assert ran.code == Exit.INTERRUPTED
    assert "\ninterrupted  nothing was violated in what was searched\n" in ran.out
    stopped = stored(here)
    assert (stopped["verdict"], stopped["exit_code"]) == ("interrupted", 130)
    assert CHUNK < stopped["counts"]["states"] < whole["counts"]["states"]
    monkeypatch.chdir(here)
    again = pasidlab(*ran.last.split()[2:], "--seed", "7")
    assert again.code == 0
    assert same(stored(here)) == same(whole)


def process(here: Path, *words: str, **more: Any) -> subprocess.Popen[str]:  # noqa: ANN401
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.harness.cli", "explore", *words],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **more,
    )


def test_a_real_ctrl_c_ends_a_real_search_at_once(here: Path) -> None:
    """It has millions of states: who gave up listening would not end before the time-out."""
    longer = TWO.replace('"p = alloc"', '"p = alloc", "bind p dsa0"')
    (here / "long.toml").write_text(longer)
    run = process(here, "long.toml", *BREADTH, "-j", "2", stdout=subprocess.PIPE)
    while len(workers := descendants(run.pid)) < 2:
        assert run.poll() is None
    os.killpg(run.pid, signal.SIGINT)
    out, err = run.communicate()
    assert (run.returncode, err) == (Exit.INTERRUPTED, "")
    assert not [one for one in workers if one.state]
    assert not parts(here)
    assert stored(here)["verdict"] == "interrupted"
    assert out.splitlines()[-1].startswith("again      pasidlab explore long.toml --strategy")


def test_a_reader_that_leaves_changes_no_verdict(here: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    run = process(here, "right.toml", *BREADTH, stdout=write)
    os.close(write)
    _, err = run.communicate()
    assert (run.returncode, err) == (0, "")


def test_err_symmetry_does_not_go_with_delays(pasidlab: Command, here: Path) -> None:
    ran = pasidlab("explore", "two.toml", *BREADTH, "--symmetry", "--depth", "1")
    assert (ran.code, "symmetry is for every order" in ran.err) == (Exit.USAGE, True)
    assert not (here / "runs").exists()
