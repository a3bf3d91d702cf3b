"""How a command ends before its end: Ctrl-C, SIGTERM, no reader, a full or closed output.

Signals are sent from inside a schedule, so that they come in the middle, and always at the same
place.
"""

import json
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clusters.sim import summary, world
from experiments.harness import concluding
from experiments.harness.interruption import listening, shielded
from experiments.harness.say import Voice
from tests.experiments.command import Command

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
PASIDLAB = (sys.executable, "-m", "experiments.harness.cli")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def signal_in_schedule(monkeypatch: pytest.MonkeyPatch, number: int, nth: int) -> None:
    """The nth schedule sends us a signal."""
    whole, count = world.follow, [0]

    def follow(*rest: object) -> object:
        count[0] += 1
        if count[0] == nth:
            os.kill(os.getpid(), number)
        return whole(*rest)  # type: ignore[arg-type]

    monkeypatch.setattr(summary, "follow", follow)


@pytest.mark.parametrize("number", SIGNALS)
def test_an_explore_that_is_interrupted_is_130_and_keeps_what_was_done(
    pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    signal_in_schedule(monkeypatch, number, 4)
    ran = pasidlab("explore", "right.toml", "--seed", "7", "--schedules", "50")
    assert ran.code == 130
    assert "\ninterrupted  after 3 schedules (" in ran.out
    assert " of 50; nothing was violated\n" in ran.out
    (folder,) = (here / "runs" / "right").glob("2*")
    result = json.loads((folder / "result.json").read_text())
    assert (result["verdict"], result["exit_code"]) == ("interrupted", 130)
    assert result["counts"]["schedules"] == 3


def test_with_json_an_interrupted_explore_is_one_object(
    pasidlab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal_in_schedule(monkeypatch, signal.SIGINT, 2)
    ran = pasidlab("explore", "right.toml", "--seed", "7", "--json")
    assert ran.object["exit_code"] == ran.code == 130


def test_a_violation_stays_one_if_the_rest_is_interrupted(
    pasidlab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal_in_schedule(monkeypatch, signal.SIGINT, 3)
    ran = pasidlab("explore", "wrong.toml", "--seed", "7", "--keep-going")
    assert ran.code == 1
    assert "\n2 of 2 schedules violated\n" in ran.out


def test_a_second_ctrl_c_does_not_end_the_ending(
    pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = concluding._write

    def write(*rest: object) -> None:
        for number in SIGNALS:
            os.kill(os.getpid(), number)
        whole(*rest)  # type: ignore[arg-type]

    monkeypatch.setattr(concluding, "_write", write)
    assert pasidlab("run", "right.toml", "--seed", "7").code == 0
    assert (here / "runs" / "latest" / "result.json").is_file()


def test_signals_are_afterwards_what_they_were() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with listening(), shielded():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_who_set_a_signal_to_be_ignored_is_obeyed() -> None:
    """That is what nohup does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with listening():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


# --- Outputs --------------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    hidden = ("PASIDLAB_RUNS_DIR", "NO_COLOR", "CI", "TERM")
    own = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**own, "PYTHONPATH": str(ROOT), "TERM": "xterm"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", "wrong.toml", "--seed", "7"), 1),
        (("replay", "latest", "--steps"), 1),
        (("run", "right.toml", "--json"), 0),
        (("list", "properties", "-v"), 0),
        (("schema", "record"), 0),
        (("--help",), 0),
    ],
)
def test_a_reader_that_leaves_changes_no_verdict_and_hears_no_word(
    pasidlab: Command, here: Path, words: tuple[str, ...], code: int
) -> None:
    """`| head -1`: the pipe is closed before anything is written to it."""
    pasidlab("run", "wrong.toml", "--seed", "7")
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(
        [*PASIDLAB, *words],
        cwd=here,
        env=environment(),
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (ran.returncode, ran.stderr) == (code, "")


def test_err_a_full_output_is_2_and_says_so(here: Path) -> None:
    for words in (("run", "right.toml"), ("--help",)):
        with Path("/dev/full").open("wb") as full:
            ran = subprocess.run(
                [*PASIDLAB, *words],
                cwd=here,
                env=environment(),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert ran.returncode == 2
        assert "cannot be written: No space left on device  (exit 2)\n" in ran.stderr


def test_closed_streams_change_no_verdict(here: Path) -> None:
    line = f"exec {PASIDLAB[0]} -m {PASIDLAB[2]} run wrong.toml >&- 2>&-"
    ran = subprocess.run(["sh", "-c", line], cwd=here, env=environment(), check=False)
    assert ran.returncode == 1


def on_a_terminal(here: Path, *words: str, **more: str) -> tuple[str, str]:
    """Stdout and stderr, each a terminal of its own."""
    ours, theirs = zip(pty.openpty(), pty.openpty(), strict=True)
    child = subprocess.Popen(
        [*PASIDLAB, *words],
        cwd=here,
        env={**environment(), **more},
        stdout=theirs[0],
        stderr=theirs[1],
    )
    for end in theirs:
        os.close(end)
    said = _all_of(*ours)
    assert child.wait() in (0, 1)
    return said[0], said[1]


def _all_of(*terminals: int) -> list[str]:
    """What is written to each, until its other end is closed."""
    data = dict.fromkeys(terminals, b"")
    left = list(terminals)
    while left:
        for terminal in select.select(left, [], [])[0]:
            try:
                more = os.read(terminal, 1 << 16)
            except OSError:  # That is how a terminal says that nobody is there any more.
                more = b""
            data[terminal] += more
            if not more:
                left.remove(terminal)
                os.close(terminal)
    return [one.decode() for one in data.values()]


EXPLORE = ("explore", "right.toml", "--schedules", "20", "--seed", "7", "--no-determinism")


def test_on_a_terminal_there_are_colours_and_a_bar(here: Path) -> None:
    out, err = on_a_terminal(here, *EXPLORE)
    assert "\x1b[32m" in out
    assert "20/20" in err


@pytest.mark.parametrize(
    ("words", "more", "moves"),
    [
        ((), {"NO_COLOR": "1"}, True),
        (("--no-color",), {}, True),
        ((), {"TERM": "dumb"}, False),
        (("-q",), {"CI": "true"}, False),
    ],
)
def test_colours_and_what_moves_can_be_declined(
    here: Path, words: tuple[str, ...], more: dict[str, str], moves: bool
) -> None:
    out, err = on_a_terminal(here, *EXPLORE, *words, **more)
    assert "\x1b" not in out
    assert out.startswith("right  revision ")
    assert bool(err) is moves


def test_a_table_is_cut_to_the_terminal_and_nothing_else(here: Path) -> None:
    out, _ = on_a_terminal(here, "run", "wrong.toml", "--seed", "7", COLUMNS="60")
    lines = out.replace("\r", "").splitlines()
    assert any(len(line) == 60 and line.endswith("...") for line in lines)
    assert any("pasidlab replay runs/wrong/" in line and "ce-1.json" in line for line in lines)


def test_without_a_terminal_nothing_is_coloured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    voice = Voice()
    voice.verdict("pass", "x")
    voice.verdict("cluster failed", "x")
    voice.verdict("interrupted", "x")
    assert capsys.readouterr().out == "pass       x\ncluster failed  x\ninterrupted  x\n"
