"""The last line of a stopped search has all that it needs to go on."""

import shlex
from pathlib import Path

from experiments.harness.result import Exit
from tests.experiments.command import Command
from tests.experiments.test_cli_search import BREADTH, TWO


def test_a_stopped_search_goes_on_with_the_bounds_that_it_had(
    pasidlab: Command, here: Path
) -> None:
    (here / "two.toml").write_text(TWO)
    ran = pasidlab("explore", "two.toml", *BREADTH, "--symmetry", "--states", "50", "--json")
    assert ran.code == Exit.UNKNOWN
    words = shlex.split(ran.object["again"])
    assert "--symmetry" in words
    whole = pasidlab(*words[1:], "--json").object
    assert whole["verdict"] == "proved"
    assert whole["counts"]["states"] > 50
