"""The run folder: how it is named, written and found again."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from experiments.harness import store
from experiments.harness.config import Experiment, load
from experiments.harness.errors import UnwritableError
from experiments.harness.finding import all_runs, find_file, find_history, find_run, summary_of
from experiments.harness.result import Result, Status
from experiments.harness.setup import digest_of
from experiments.harness.store import Run, folder_name, git_state, model_changes, resolved
from protocol.errors import ExperimentError

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def result(run: Run, verb: str = "run", verdict: Status = Status.PASS) -> Result:
    return Result(
        verb=verb, experiment="x.toml", title="x", revision="sound", world="sim", seed=run.seed,
        verdict=verdict, exit_code=0, folder=str(run.final),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """All runs begin in the same second."""
    monkeypatch.setattr(store, "_now", lambda: NOON)


def test_a_run_is_a_part_until_its_result_is_there(tmp_path: Path) -> None:
    run = Run(tmp_path, "exp", 0x5EED)
    assert run.folder == tmp_path / "exp" / "20261121T120000-5eed.part"
    assert run.folder.is_dir()
    assert run.write("a.txt", b"x") == run.final / "a.txt"
    assert not run.final.exists()
    assert run.finish(result(run)) == tmp_path / "exp" / "20261121T120000-5eed"
    assert sorted(path.name for path in run.final.iterdir()) == ["a.txt", "result.json", "run.json"]
    assert not list(tmp_path.glob("*/*.part"))


def test_runs_of_the_same_second_and_seed_have_folders_of_their_own(tmp_path: Path) -> None:
    runs = [Run(tmp_path, "exp", 7) for _ in range(3)]
    runs[0].finish(result(runs[0]))
    runs.append(Run(tmp_path, "exp", 7))
    assert [run.final.name.partition("-")[2] for run in runs] == ["7", "7-2", "7-3", "7-4"]


def test_a_folder_that_is_finished_while_another_is_made_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other run is renamed between our look at its name and our making of the part."""
    whole, final = Path.mkdir, tmp_path / "exp" / "20261121T120000-7"

    def mkdir(path: Path, *rest: object, **more: object) -> None:
        whole(path, *rest, **more)  # type: ignore[arg-type]
        if path.name == f"{final.name}.part":
            whole(final)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert Run(tmp_path, "exp", 7).final.name == "20261121T120000-7-2"
    assert not final.with_name(f"{final.name}.part").exists()


def test_latest_is_the_run_that_was_finished_last(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2), ("a", 3)):
        run = Run(tmp_path, name, seed)
        run.finish(result(run))
    for link in ("latest", "a/latest"):
        assert (tmp_path / link).resolve().name == "20261121T120000-3"
    assert (tmp_path / "b" / "latest").resolve().name == "20261121T120000-2"
    assert not Path((tmp_path / "latest").readlink()).is_absolute()


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("kill_everyone", "kill_everyone"),
        ("a b/c", "a_b_c"),
        ("../..", "experiment"),
        ("", "experiment"),
        ("-x", "x"),
        ("\x1b[31m", "31m"),
        ("latest", "latest_"),
        ("x.part", "x.part_"),
        ("x" * 300, "x" * 64),
    ],
)
def test_a_folder_has_a_name_that_nothing_trips_over(name: str, folder: str) -> None:
    assert folder_name(name) == folder


def test_the_manifest_says_how_it_came_about(tmp_path: Path) -> None:
    run = Run(tmp_path, "exp", 7)
    run.finish(result(run), cluster="local")
    manifest = json.loads((run.final / "run.json").read_text())
    assert manifest["seed"] == 7
    assert manifest["cluster"] == "local"
    assert manifest["versions"].keys() >= {"python", "msgspec", "click"}
    assert manifest["started"] == "2026-11-21T12:00:00+00:00"


def test_the_experiment_is_kept_as_resolved_and_reads_back(tmp_path: Path) -> None:
    run = Run(tmp_path, "exp", 7)
    experiment = Experiment(title="x")
    text = run.write_experiment(experiment)
    assert text == resolved(experiment)
    assert load(run.folder / "experiment.toml") == experiment
    assert digest_of(text) != digest_of(text + b"\n")


def test_err_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnwritableError, match="file/exp: cannot be written: Not a directory"):
        Run(tmp_path / "file", "exp", 7)
    run = Run(tmp_path, "exp", 7)
    run.folder.rmdir()
    with pytest.raises(UnwritableError, match=r"run\.json: cannot be written: No such file"):
        run.finish(result(run))


def test_err_a_real_folder_in_the_place_of_latest_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    run = Run(tmp_path, "exp", 7)
    with pytest.raises(UnwritableError, match="cannot be written"):
        run.finish(result(run))
    assert (run.final / "result.json").is_file()


# --- The code that ran ----------------------------------------------------------------------------


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    assert git_state() == ("", False)
    assert not model_changes("1234567")


@pytest.mark.parametrize("commit", ["", "--output=x", "HEAD", "1234567890" * 4])
def test_a_commit_that_is_none_or_that_git_does_not_know_has_no_changes(commit: str) -> None:
    assert not model_changes(commit)


# --- Finding it again -----------------------------------------------------------------------------


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """`a` with two runs, and one of `b` that was cut off."""
    for seed in (1, 2):
        run = Run(tmp_path, "a", seed)
        run.write("history.jsonl", b"x")
        run.finish(result(run))
    Run(tmp_path, "b", 3).write("experiment.toml", b"x")
    return tmp_path


def test_a_run_is_found_by_path_by_latest_and_by_name(runs: Path) -> None:
    newest = runs / "a" / "20261121T120000-2"
    for what in ("latest", "a", str(newest), "a/latest", "a/20261121T120000-2", str(runs / "a")):
        assert find_run(what, runs) == newest
        assert find_history(what, runs) == newest / "history.jsonl"
    assert find_file("latest/history.jsonl", runs) == runs / "latest" / "history.jsonl"
    assert find_file("latest", runs) is None


def test_latest_is_not_a_folder_of_that_name_that_lies_about(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere" / "latest"
    elsewhere.mkdir(parents=True)
    (elsewhere / "history.jsonl").write_bytes(b"x")
    monkeypatch.chdir(elsewhere.parent)
    assert find_run("latest", runs).name == "20261121T120000-2"


def test_err_a_run_that_is_not_there(runs: Path) -> None:
    with pytest.raises(ExperimentError, match="is no run, neither here nor in "):
        find_run("c", runs)
    with pytest.raises(ExperimentError, match="this run was cut off; what it wrote is in "):
        find_run("b/20261121T120000-3", runs)
    with pytest.raises(ExperimentError, match="was cut off before it kept a history"):
        find_history("b/20261121T120000-3.part", runs)


def test_all_runs_are_listed_oldest_first(runs: Path) -> None:
    assert [(Path(name).name, said) for name, said in all_runs(runs)] == [
        ("20261121T120000-1", "pass  run  seed 0x1"),
        ("20261121T120000-2", "pass  run  seed 0x2"),
        ("20261121T120000-3.part", "cut off: no result"),
    ]


def test_a_result_that_nobody_can_read_is_none(runs: Path) -> None:
    folder = runs / "a" / "20261121T120000-1"
    assert summary_of(folder) is not None
    (folder / "result.json").write_bytes(b"[" * 100_000)
    assert summary_of(folder) is None
