"""Which schedule a user means: a counterexample file, a run's folder, a token."""

from pathlib import Path

import pytest

from clusters.sim.tape import Origin, Tape
from experiments.harness.config import read_experiment
from experiments.harness.options import Asked
from experiments.harness.replaying import schedule
from experiments.harness.setup import digest_of
from experiments.harness.store import resolved
from protocol.errors import ExperimentError
from tests.experiments.command import RIGHT

TAPE = Tape("random", 7)


@pytest.fixture
def folder(here: Path) -> Path:
    """A run's folder with two counterexamples, made by hand."""
    folder = here / "runs" / "x" / "1"
    folder.mkdir(parents=True)
    text = resolved(read_experiment(RIGHT, "right"))
    (folder / "experiment.toml").write_bytes(text)
    origin = Origin(git="feed", experiment=digest_of(text), property="p", step=3)
    for k in (1, 2):
        (folder / f"ce-{k}.json").write_bytes(Tape("random", k).to_json(origin))
    return folder


def test_a_file_has_its_experiment_beside_it(folder: Path, here: Path) -> None:
    given = schedule("x/1/ce-2.json", None, here / "runs")
    assert given.tape.seed == 2
    assert given.experiment.title == "a number is used, and used again"
    assert given.origin is not None
    assert given.origin.property == "p"
    assert given.words == ("runs/x/1/ce-2.json",)
    assert (folder / "ce-2.json").is_file()


def test_of_a_folder_the_first_is_meant(folder: Path, here: Path) -> None:
    for what in ("x/1", str(folder)):
        assert schedule(what, None, here / "runs").tape.seed == 1


def test_a_token_is_seed_and_strategy_with_the_experiment_that_is_named(here: Path) -> None:
    asked = Asked(Path("right.toml"), ("pool.pasids=3",), "sound", (), 500)
    given = schedule(TAPE.token(), asked, here / "runs")
    assert (given.tape, given.origin) == (TAPE, None)
    assert given.experiment.pool.pasids == 3
    assert given.experiment.explore.max_steps == 500
    assert given.words == (
        TAPE.token(), "right.toml", "--set", "pool.pasids=3", "--revision", "sound",
        "--max-steps", "500",
    )  # fmt: skip


def test_a_file_with_an_experiment_that_is_named_must_be_of_that(folder: Path, here: Path) -> None:
    (folder / "experiment.toml").unlink()
    asked = Asked(Path("right.toml"))
    given = schedule("x/1/ce-1.json", asked, here / "runs")
    assert given.words == ("runs/x/1/ce-1.json", "right.toml")
    for other in (Asked(Path("wrong.toml")), Asked(Path("right.toml"), ("pool.pasids=3",))):
        with pytest.raises(ExperimentError, match="is not the experiment that "):
            schedule("x/1/ce-1.json", other, here / "runs")


def test_the_old_text_of_an_experiment_stays_the_same_when_there_are_new_keys(
    folder: Path, here: Path
) -> None:
    """The digest is that of the text, whatever defaults this version would add."""
    beside = folder / "experiment.toml"
    text = beside.read_bytes().replace(b"[live]\n", b"[live]\n# an older version wrote this\n")
    beside.write_bytes(text)
    origin = Origin(experiment=digest_of(text))
    (folder / "ce-1.json").write_bytes(TAPE.to_json(origin))
    assert schedule("x/1", None, here / "runs").tape == TAPE
