"""Experiment files that are none, in all the ways that a disk knows; and --set."""

import os
from pathlib import Path

import pytest

from tests.experiments.command import RIGHT, Command

ODD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "$: the key 'title' is missing"),
    "broken": (b'title = "x\n', "not TOML: Illegal character '\\n' (at line 1, column 11)"),
    "binary": (b"\x00\xff\xfe" * 99, "cannot be read: byte 1 is not UTF-8 text"),
    "deep": (b"title = " + b"[" * 100_000, "not TOML"),
    "long": (b"a." * 5_000 + b"b = 1", "$: 'a' is not a key here"),
    "large": (b"#" * ((1 << 20) + 1), "larger than 1048576 bytes"),
    "escape": (b'"\\u001b[31mred" = 1', "$: '\\x1b[31mred' is not a key here"),
}


@pytest.mark.parametrize("name", ODD)
def test_err_a_file_that_is_no_experiment_says_why(
    pasidlab: Command, here: Path, name: str
) -> None:
    data, sentence = ODD[name]
    (here / "odd.toml").write_bytes(data)
    ran = pasidlab("run", "odd.toml")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"odd.toml: {sentence}")
    assert not (here / "runs").exists()


@pytest.mark.parametrize("verb", ["run", "explore", "chaos"])
def test_err_what_is_no_regular_file_is_not_read(pasidlab: Command, here: Path, verb: str) -> None:
    """A pipe would never end, and neither would /dev/zero."""
    os.mkfifo(here / "pipe.toml")
    (here / "loop.toml").symlink_to("loop.toml")
    for path, sentence in {
        "pipe.toml": "is not a regular file",
        "/dev/zero": "is not a regular file",
        ".": "is a folder, not a file",
        "": "is a folder, not a file",
        "right.toml/x": "cannot be read: Not a directory",
        "loop.toml": "cannot be read: Too many levels of symbolic links",
        "a" * 300: "cannot be read: File name too long",
    }.items():
        ran = pasidlab(verb, path)
        assert (ran.code, ran.out) == (2, "")
        assert sentence in ran.err


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("rigth.toml", "right.toml"),
        ("normal_life", "experiments/ioasid/normal_life.toml"),
        ("normal_life.toml", "experiments/ioasid/normal_life.toml"),
    ],
)
def test_err_a_missing_file_is_told_what_may_be_meant(
    pasidlab: Command, said: str, meant: str
) -> None:
    ran = pasidlab("run", said)
    assert ran.err.startswith(f"{said}: no such file; did you mean '")
    assert f"{meant}'?  (exit 2)\n" in ran.err


def test_a_byte_order_mark_and_foreign_line_ends_are_no_matter(
    pasidlab: Command, here: Path
) -> None:
    (here / "x.toml").write_bytes(b"\xef\xbb\xbf" + RIGHT.replace("\n", "\r\n").encode())
    assert pasidlab("run", "x.toml", "--seed", "1").code == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("x", "--set x: wants path.to.key=value"),
        ("pool.pasids=0", "--set pool.pasids=0: $.pool.pasids: wants a whole number >= 1, not 0"),
        ("process.0.steps.0=p = aloc", "$.process[0].steps[0]: 'aloc' is not an operation"),
        ("process.7.name=x", "--set process.7.name=x: there is no [7], only 1 entry"),
        ("network.semantics=any-order", "$.network.links: name those that are any-order, such"),
        (
            "network={semantics='any-order',links=['core -> dmar0']}",
            "links[0]: 'dmar0' is hardware",
        ),
        ("network={semantics='any-order',links=['cor -> vfio']}", "did you mean 'core'?"),
        ("expect.always=['dma-in-its-own-live']", "did you mean 'dma-in-its-own-life'?"),
        ("guests.count=0", "(processes: none, guests.count is 0)"),
        ("nemesis=[{fault='lose',target='core'}]", "$.nemesis[0].target: "),
    ],
)
@pytest.mark.parametrize("verb", ["run", "explore"])
def test_err_a_change_that_cannot_be_is_refused_before_anything_is_written(
    pasidlab: Command, here: Path, verb: str, change: str, sentence: str
) -> None:
    ran = pasidlab(verb, "right.toml", "--set", change)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err
    assert not (here / "runs").exists()


@pytest.mark.parametrize("revision", ["", "v33", 'a"b', "a\nb"])
def test_err_a_revision_that_is_not_there_is_refused(pasidlab: Command, revision: str) -> None:
    ran = pasidlab("run", "right.toml", "--revision", revision)
    assert ran.code == 2
    assert "is not a revision" in ran.err or "wants path.to.key" in ran.err


def test_a_fault_by_number_or_probability_can_be_written(pasidlab: Command) -> None:
    table = "[{fault='fail', site='core.alloc.nospc', nth=1}]"
    ran = pasidlab("run", "right.toml", "--seed", "1", "--set", f"nemesis={table}")
    assert ran.code == 1
    assert "ended in ENOSPC" in ran.out
