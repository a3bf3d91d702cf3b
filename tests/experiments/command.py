"""The command line as a test uses it: words in; exit code, stdout and stderr out."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from experiments.harness.cli import main
from protocol.machine import Machine, Vm
from protocol.properties import PROPERTIES, Kind
from protocol.properties.concerning import concerns

WRONG = """
title = "a script that expects what does not happen"
[guests]
count = 2
[[process]]
name = "vm1.guest"
steps = ["p = alloc", "bind p dsa0", "dma p dsa0 x2", "unbind p dsa0 -> EBUSY", "free p"]
"""
RIGHT = """
title = "a number is used, and used again"
[pool]
pasids = 1
[[process]]
name = "vm1.guest"
steps = ["p = alloc -> ok", "free p -> ok", "q = alloc -> ok", "free q -> ok", "exit"]
[expect]
sometimes = ["pasid-reused"]
"""
UNSEEN = RIGHT.replace('"pasid-reused"', '"pasid-reused", "page-answered"')
RUN = re.compile(r"[0-9]{8}T[0-9]{6}-([0-9a-f]+)(-[0-9]+)?")
COUNT = r"[0-9]+(?:,[0-9]{3})*"
GUEST = Machine((), (), (Vm("vm1", ()),))
JUDGED = sum(one.kind is not Kind.SOMETIMES and concerns(one, GUEST) for one in PROPERTIES)
"""So many properties are judged where an experiment names none."""


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def object(self) -> Any:  # noqa: ANN401  whatever the JSON says
        """The one object of --json."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)

    @property
    def last(self) -> str:
        """The last line of the answer."""
        return self.out.splitlines()[-1]


Command = Callable[..., Ran]


def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line, in this process."""

    def call(*words: str | Path) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        assert isinstance(left.value.code, int)
        return Ran(left.value.code, said.out, said.err)

    return call


def scrubbed(text: str) -> str:
    """Without what differs from run to run: times, steps, and how many of what there were."""
    text = RUN.sub(r"<time>-\1", text)
    text = re.sub(r"\ba[a-z2-7]{40,}\b", "<token>", text)
    text = re.sub(r"[0-9]+\.[0-9] s\b", "<seconds>", text)
    text = re.sub(rf"\({COUNT}/s\)", "(<rate>/s)", text)
    text = re.sub(rf"\bstep {COUNT}", "step <n>", text)
    text = re.sub(rf"\b{COUNT} (earlier steps|steps|records)\b", r"<n> \1", text)
    return re.sub(r"^  [0-9]+ +", "  <n>  ", text, flags=re.MULTILINE)


def stored(here: Path) -> dict[str, Any]:
    """`result.json` without times and the folder's name, and the files beside it."""
    folder = (here / "runs" / "latest").resolve()
    text = (folder / "result.json").read_text().replace(folder.name, "<folder>")
    result: dict[str, Any] = json.loads(text)
    assert result.pop("seconds") >= 0.0
    more = [path for path in sorted(folder.iterdir()) if path.name.startswith(("ce-", "history"))]
    return {**result, "files": {path.name: path.read_bytes() for path in more}}
