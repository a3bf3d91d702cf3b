"""Processes of a modern kernel in an experiment file, and what is refused in their scripts."""

import re
from typing import get_args

import pytest

from experiments.harness.config import machine_of, plans_of, read_experiment
from experiments.harness.tables import Lack, Quirk
from protocol.errors import ExperimentError
from protocol.machine import LACKS, QUIRKS
from protocol.plan import Step

HEAD = """title = "t"
stack = "iommufd"
[[machine.unit]]
name = "dmar0"
[[machine.device]]
name = "d1"
unit = "dmar0"
driver = "idxd"
system_pasid = true
[[machine.device]]
name = "plain"
unit = "dmar0"
[processes]
count = 2
"""


def with_steps(*steps: str) -> str:
    return f'{HEAD}[[process]]\nname = "proc1"\nsteps = {list(steps)}\n'


def read(*steps: str) -> tuple[Step, ...]:
    return plans_of(read_experiment(with_steps(*steps), "x.toml"))["proc1"].steps


def test_a_step_is_of_a_thread() -> None:
    assert read("clone", "async t2 dma d1 x4 -> any(ok, EFAULT)", "t2 exit", "fork proc2") == (
        Step("clone", text="clone"),
        Step(
            "dma",
            number=2,
            device="d1",
            count=4,
            expect=("ok", "EFAULT"),
            wait=False,
            text="async t2 dma d1 x4 -> any(ok, EFAULT)",
        ),
        Step("exit", number=2, text="t2 exit"),
        Step("fork", owner="proc2", text="fork proc2"),
    )


def test_err_a_thread_that_was_never_cloned() -> None:
    with pytest.raises(
        ExperimentError, match=r"steps\[1\]: 't3' is not cloned before .clones so far: t2."
    ):
        read("clone", "t3 dma d1", "clone")
    ended = ("clone", "exec", "t2 exit -> ENOENT", "clone", "clone", "t3 dma d1")
    assert [step.text for step in read(*ended)] == [*ended]


def test_a_device_is_behind_the_door_of_its_driver() -> None:
    machine = machine_of(read_experiment(HEAD, "x.toml"))
    assert (machine.door_of("d1"), machine.device("d1").system_pasid) == ("idxd.d1", True)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("async", "'async' names no operation"),
        ("t2", "'t2' names no operation"),
        ("t1 dma d1", "threads are t2, t3 and so on; the first has no name"),
        ("opne d1", "'opne' is not an operation of a process; did you mean 'open'"),
        ("bind d1", "'bind' is not an operation of a process"),
        ("open", "names no device with driver 'uacce' or 'idxd' .there are: d1."),
        ("open plain", "'plain' is not a device with driver 'uacce' or 'idxd'"),
        ("fork proc1", "'proc1' is not a process"),
        ("open d1 x2", "open takes no count"),
        ("dma d1 x0", "a count is 1 to 1000, not 0"),
        ("exec d1", "'d1' is too much for exec"),
        ("dma d1 -> fine", "'fine' is not an outcome"),
    ],
)
def test_err_a_step_that_cannot_be(said: str, why: str) -> None:
    with pytest.raises(ExperimentError, match=rf"process\[0\]\.steps\[0\].*{why}"):
        read(said)


def test_err_a_system_pasid_of_another_driver() -> None:
    with pytest.raises(ExperimentError, match="system_pasid: only driver 'idxd' has one"):
        read_experiment(HEAD.replace('"idxd"', '"uacce"'), "x.toml")


def test_err_a_system_pasid_in_the_older_stack() -> None:
    text = HEAD.replace('stack = "iommufd"\n', "").replace('driver = "idxd"\n', "")
    with pytest.raises(ExperimentError, match=r"system_pasid: there is none with stack = 'ioasid'"):
        read_experiment(text, "x.toml")


@pytest.mark.parametrize(
    ("after", "key", "where"),
    [
        ('name = "dmar0"\n', 'lacks = ["sre"]\n', r"machine.unit\[0\].lacks"),
        ('unit = "dmar0"\n', 'quirks = ["pri-off"]\n', r"machine.device\[0\].quirks"),
    ],
)
def test_what_hardware_lacks_is_of_the_modern_stack(after: str, key: str, where: str) -> None:
    text = HEAD.replace(after, after + key, 1)
    said = machine_of(read_experiment(text, "x.toml"))
    assert [*said.units[0].lacks, *said.devices[0].quirks] == re.findall(r'\["(.*)"\]', key)
    older = text.replace('stack = "iommufd"\n', "").replace('driver = "idxd"\n', "")
    with pytest.raises(ExperimentError, match=f"{where}: there is none with stack = 'ioasid'"):
        read_experiment(older.replace("system_pasid = true\n", ""), "x.toml")


@pytest.mark.parametrize("pf", ["d1", "plane"])
def test_err_a_virtual_function_of_none(pf: str) -> None:
    text = HEAD.replace('driver = "idxd"\n', f'driver = "idxd"\npf = "{pf}"\n')
    with pytest.raises(ExperimentError, match=rf"device\[0\].pf: '{pf}' is not a physical device"):
        read_experiment(text, "x.toml")


def test_err_an_identity_domain_for_pasids() -> None:
    identity = '[[machine.domain]]\nname = "i"\nkind = "IDENTITY"\n'
    text = HEAD.replace("[[machine.device]]", f"{identity}[[machine.device]]", 1)
    with pytest.raises(ExperimentError, match=r"domain\[0\].pasid: an identity domain"):
        read_experiment(text, "x.toml")
    right = read_experiment(text.replace('"IDENTITY"\n', '"IDENTITY"\npasid = false\n'), "x.toml")
    assert [one.kind for one in machine_of(right).domains] == ["IDENTITY"]


def test_err_units_of_two_drivers() -> None:
    amd = '[[machine.unit]]\nname = "u"\ndriver = "amd"\n'
    text = HEAD.replace("[[machine.device]]", f"{amd}[[machine.device]]", 1)
    with pytest.raises(ExperimentError, match=r"unit\[1\].driver: 'amd' beside 'intel'"):
        read_experiment(text, "x.toml")


def test_the_words_of_the_file_are_those_of_the_machine() -> None:
    assert (get_args(Lack), get_args(Quirk)) == (tuple(LACKS), tuple(QUIRKS))
