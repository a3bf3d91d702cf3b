"""docs/record-a-kernel.md: what it says to write is what is read."""

import re
from pathlib import Path
from typing import Final

import pytest

from clusters.conformance.forms import API, FORMS, IOMMU_FORMS, SET_DEV_PASID, forms_for
from clusters.conformance.machine import TraceMachine
from clusters.conformance.names import read_names
from clusters.conformance.trace import read_calls
from experiments.harness.reading import decode

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "record-a-kernel.md").read_text()


BLOCKS: Final[list[tuple[str, str]]] = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)


def block(language: str, begin: str) -> str:
    """A code block, by its language and how it begins."""
    (text,) = [text for word, text in BLOCKS if word == language and text.startswith(begin)]
    return text


@pytest.fixture
def machine() -> TraceMachine:
    """The machine of the page."""
    return decode(block("toml", "getter"), "page", TraceMachine)


def test_its_probes_have_the_arguments_that_are_read(machine: TraceMachine) -> None:
    forms = {**forms_for(machine), "my_set_dev_pasid": SET_DEV_PASID}
    probes = re.findall(r"^p:kt/\w+ (\w+)(.*)$", PAGE, re.MULTILINE)
    assert {name for name, _ in probes} == {
        *[name for name in FORMS if name.startswith("ioasid_")],
        *[one.name for one in IOMMU_FORMS if one.kind == API],
        "my_set_dev_pasid",
        "my_getter",
        "my_alloc",
        "my_free",
    }
    for name, args in probes:
        assert re.findall(r"(\w+)=\$arg", args) == [*forms[name].args]
    returns = dict(re.findall(r"^r256:kt/\w+ (\w+)(.*)$", PAGE, re.MULTILINE))
    for name, _ in probes:
        assert ("ret=$retval" in returns[name]) == (forms[name].ret != "nothing")


def test_its_json_lines_and_its_map_are_read(tmp_path: Path, machine: TraceMachine) -> None:
    (tmp_path / "x.jsonl").write_text(block("json", '{"n"'))
    assert [call.n for call in read_calls(tmp_path / "x.jsonl", machine)] == [170, 171]
    (tmp_path / "x.map").write_text(block("", "set 0x"))
    assert read_names(tmp_path / "x.map").name("private", 0xFFFFFFFF81C50A60) == "priv0"
