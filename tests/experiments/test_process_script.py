"""Processes of the host in an experiment file, and what is refused in their scripts."""

import pytest

from experiments.harness.config import machine_of, plans_of, read_experiment
from protocol.errors import ExperimentError
from protocol.plan import Plan, Step

HEAD = """title = "t"
[guests]
count = 0
[processes]
count = 2
"""


def with_steps(*steps: str, name: str = "proc1", more: str = "") -> str:
    return f'{HEAD}{more}[[process]]\nname = "{name}"\nsteps = {list(steps)}\n'


def read(*steps: str) -> tuple[Step, ...]:
    return plans_of(read_experiment(with_steps(*steps), "x.toml"))["proc1"].steps


def test_a_step_names_a_device_or_a_process() -> None:
    assert read("open dsa0", "async dma dsa0 x4 -> any(ok, EFAULT)", "fork proc2", "exit") == (
        Step("open", device="dsa0", text="open dsa0"),
        Step(
            "dma",
            device="dsa0",
            count=4,
            expect=("ok", "EFAULT"),
            wait=False,
            text="async dma dsa0 x4 -> any(ok, EFAULT)",
        ),
        Step("fork", owner="proc2", text="fork proc2"),
        Step("exit", text="exit"),
    )


def test_who_is_forked_waits_for_it_and_who_has_no_script_does_nothing() -> None:
    experiment = read_experiment(with_steps("fork proc2"), "x.toml")
    text = with_steps("fork proc2") + '[[process]]\nname = "proc2"\nsteps = ["exit"]\n'
    assert plans_of(experiment)["proc2"] == Plan()
    plans = plans_of(read_experiment(text, "x.toml"))
    assert (plans["proc1"].forked, plans["proc2"].forked) == (False, True)


def test_the_processes_have_what_the_vms_leave() -> None:
    experiment = read_experiment(HEAD.replace("count = 0", "count = 3"), "x.toml")
    machine = machine_of(experiment)
    assert machine.processes == ("proc1", "proc2")
    assert (machine.quota, machine.host_quota) == (2, 2)


def test_err_vms_that_leave_nothing_to_the_processes() -> None:
    text = HEAD.replace("count = 0", "count = 2") + "[pool]\npasids = 4\nquota = 2\n"
    with pytest.raises(ExperimentError, match="and the processes of the host need some, too"):
        read_experiment(text, "x.toml")


@pytest.mark.parametrize(
    ("step", "refusal"),
    [
        ("", "names no operation"),
        ("async", "names no operation"),
        ("opem dsa0", "'opem' is not an operation of a process; did you mean 'open'?"),
        ("open", r"names no device \(devices: dsa0\)"),
        ("bind dsa1", "'dsa1' is not a device; did you mean 'dsa0'?"),
        ("fork proc1", "'proc1' is not a process; did you mean 'proc2'?"),
        ("kill", r"names no process \(processes: proc2\)"),
        ("open dsa0 x2", "open takes no count"),
        ("dma dsa0 x0", "a count is 1 to 1000, not 0"),
        ("exit dsa0", "'dsa0' is too much for exit"),
        ("dma dsa0 -> fine", "'fine' is not an outcome"),
    ],
)
def test_err_a_step_that_is_wrong(step: str, refusal: str) -> None:
    with pytest.raises(ExperimentError, match=refusal) as caught:
        read(step)
    assert str(caught.value).startswith("x.toml: $.process[0].steps[0]: ")
