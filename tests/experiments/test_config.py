"""What an experiment file may say, and how it is told what is wrong."""

import re
from pathlib import Path

import msgspec
import pytest

from experiments.harness.config import Experiment, load, machine_of, plans_of, read_experiment
from experiments.harness.reading import decode, read_toml
from experiments.harness.setup import properties_of
from protocol.errors import ExperimentError
from protocol.plan import Step

ROOT = Path(__file__).resolve().parents[2]
BIND = "bind p dsa0 -> any(ok, EBUSY)"
SCRIPT = """
title = "x"
[pool]
pasids = 4
[guests]
count = 2
[[process]]
name  = "vm1.guest"
steps = ["p = alloc", "bind p dsa0 -> any(ok, EBUSY)", "async dma p dsa0 x4",
         "unbind vm2.guest.q dsa0"]
[[process]]
name  = "vm2.guest"
steps = ["q = alloc -> ok", "free #17"]
"""


@pytest.mark.parametrize("path", sorted(ROOT.glob("experiments/*/*.toml")), ids=lambda p: p.stem)
def test_every_experiment_in_the_tree_is_right(path: Path) -> None:
    experiment = load(path)
    machine = machine_of(experiment)
    assert machine.vms or machine.processes or machine.callers
    assert plans_of(experiment)


@pytest.mark.parametrize("path", sorted(ROOT.glob("experiments/*/*.toml")), ids=lambda p: p.stem)
def test_a_resolved_experiment_reads_back_as_itself(path: Path) -> None:
    experiment = load(path)
    again = read_experiment(msgspec.toml.encode(experiment).decode(), "resolved")
    assert again == experiment


def test_a_script_is_read_into_steps() -> None:
    plans = plans_of(read_experiment(SCRIPT, "t.toml"))
    assert plans["vm1.guest"].steps[1:3] == (
        Step("bind", "p", device="dsa0", expect=("ok", "EBUSY"), text=BIND),
        Step("dma", "p", device="dsa0", count=4, wait=False, text="async dma p dsa0 x4"),
    )  # fmt: skip
    assert plans["vm2.guest"].steps[1] == Step("free", number=17, text="free #17")


def test_a_process_is_told_the_variables_its_script_names() -> None:
    plans = plans_of(read_experiment(SCRIPT, "t.toml"))
    assert plans["vm2.guest"].tell == (("q", "vm1.guest"),)
    assert plans["vm1.guest"].tell == ()


def test_a_quota_of_zero_shares_the_pool_evenly() -> None:
    assert machine_of(read_experiment(SCRIPT, "t.toml")).quota == 2


def test_changes_are_typed_and_reach_into_lists() -> None:
    text = SCRIPT + '\n[[nemesis]]\nfault = "crash"\ntarget = "core"\n'
    changes = ("pool.pasids=6", "nemesis.0.target=iommu", "network.delay_steps=[0, 3]")
    experiment = read_experiment(text, "t.toml", changes)
    assert experiment.pool.pasids == 6
    assert experiment.nemesis[0].target == "iommu"
    assert experiment.network.delay_steps == (0, 3)


MDEVS = """
title = "x"
[[machine.device]]
name = "dsa0"
unit = "dmar0"
[[machine.device]]
name = "dsa1"
unit = "dmar0"
wq   = "dedicated"
[[machine.mdev]]
name   = "m0"
parent = "dsa0"
"""


def test_a_vm_has_an_mdev_in_the_place_of_its_parent() -> None:
    machine = machine_of(read_experiment(MDEVS, "t.toml"))
    assert machine.parents == {"m0": "dsa0"}
    assert machine.vm("vm1").groups == (("dsa1",), ("m0",))


WRONG = {
    MDEVS.replace('parent = "dsa0"', 'parent = "dsa"'): (
        "$.machine.mdev[0].parent: 'dsa' is not a device with a shared WQ; did you mean 'dsa0'?"
    ),
    MDEVS.replace('parent = "dsa0"', 'parent = "dsa1"'): (
        "$.machine.mdev[0].parent: 'dsa1' is not a device with a shared WQ"
    ),
    MDEVS.replace('"m0"', '"dsa1"'): "the name 'dsa1' is given twice",
    MDEVS + '[guests]\ngroups = [["dsa0"]]': "$.guests.groups[0]: 'dsa0' is not a device",
    'title = "x"\n[guests]\noperations = 1\nmix = { "free-all" = 1 }': (
        "$.guests.mix: 'free-all' is for scripts, nobody draws it"
    ),
    "title = 1": "$.title: wants text, not 1",
    'title = "x"\ntitel = "y"': "$: 'titel' is not a key here; did you mean 'title'?",
    'title = "x"\n[network]\nlost = 1': "$.network: 'lost' is not a key here (keys: semantics,",
    'title = "x"\n[[nemesis]]\nfault = "krash"\ntarget = "kvm"': (
        "$.nemesis[0].fault: 'krash' is not a fault; did you mean 'crash'?"
    ),
    'title = "x"\n[[nemesis]]\nfault = "crash"': "$.nemesis[0]: the key 'target' is missing",
    'title = "x"\n[pool]\npasids = 0': "$.pool.pasids: wants a whole number >= 1, not 0",
    'title = "x"\n[pool]\npasids = 2\nquota = 4': "$.pool.quota: 1 VMs of 4 PASIDs need 4",
    'title = "x"\nrevision = "sounds"': "is not a revision; did you mean 'sound'?",
    'title = "x"\n[guests]\nmix = { bnd = 1 }': "'bnd' is not an operation; did you mean 'bind'?",
    'title = "x"\n[guests]\noperations = 3': "3 operations, but none has a weight",
    'title = "x"\n[guests]\ngroups = [["dsa1"]]': "'dsa1' is not a device; did you mean 'dsa0'?",
    'title = "x"\n[guests]\ngroups = [["dsa0"], ["dsa0"]]': "the name 'dsa0' is given twice",
    'title = "x"\n[[machine.device]]\nname = "a"\nunit = "dmar9"': "'dmar9' is not a unit",
    'title = "x"\n[[machine.unit]]\nname = "vfio"': "the name 'vfio' is given twice",
    'title = "x"\n[[process]]\nname = "vm9.guest"\nsteps = []': (
        "$.process[0].name: 'vm9.guest' is not a process; did you mean 'vm1.guest'?"
    ),
    'title = "x"\n[network]\ndelay_steps = [1]': "$.network.delay_steps: wants a list of length 2",
    'title = "x"\n[finally]\nquiet_seconds = nan': "wants a number >= 0.0, not nan",
    'title = "x"\n[finally]\nheal = "no"': (
        "$.finally.heal: wants true or false or a list, not 'no'"
    ),
    'title = "x"\n[finally]\nheal = [1]': "$.finally.heal[0]: wants text, not 1",
    'title = "x"\npool = 4': "$.pool: wants a table, not 4",
    'title = "x"\n[live]\njournal = "http://x"': "$.live.journal: wants text matching",
    'title = "x"\n[live]\njournal = "redis://user:secret@x"': "$.live.journal: wants text matching",
    "": "$: the key 'title' is missing",
    "[": "not TOML",
}
STEPS = {
    "bnd p dsa0": "'bnd' is not an operation; did you mean 'bind'?",
    "bind p dsa9": "'dsa9' is not a device of vm1; did you mean 'dsa0'?",
    "bind p": "",
    "bind dsa0": "bind needs a PASID",
    "bind p dsa0 -> EBSY": "'EBSY' is not an outcome (ok or an errno); did you mean 'EBUSY'?",
    "drain dsa0 x4": "drain takes no count",
    "bind #1 dsa0 x4": "many are variables of the guest's own",
    "dma p dsa0 x0": "a count is 1 to 1000",
    "bind #1048576 dsa0": "is not a PASID",
    "bind p! dsa0": "'p!' is not a variable or #number",
    "bind z dsa0": "'z' is not allocated before",
    "bind vm1.gest.p dsa0": "vm1.gest never allocates 'p'",
    "q = bind p dsa0": "only alloc sets a variable",
    "alloc": "alloc sets a variable: 'p = alloc'",
    "9 = alloc": "'9' is not a variable name",
    "free p now": "'now' is too much for free",
    "disable": "disable needs a device",
    "": "names no operation",
}


@pytest.mark.parametrize("text", WRONG)
def test_err_a_wrong_file_is_told_the_place_the_rule_and_the_nearest_spelling(text: str) -> None:
    with pytest.raises(ExperimentError) as error:
        read_experiment(text, "t.toml")
    assert WRONG[text] in str(error.value)
    assert str(error.value).startswith("t.toml: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("step", STEPS)
def test_err_a_wrong_step_is_told_its_place(step: str) -> None:
    text = f'title = "x"\n[[process]]\nname = "vm1.guest"\nsteps = ["p = alloc", "{step}"]'
    with pytest.raises(ExperimentError) as error:
        read_experiment(text, "t.toml")
    assert str(error.value).startswith("t.toml: $.process[0].steps[1]: ")
    assert STEPS[step] in str(error.value)


def test_err_a_script_given_twice_is_refused() -> None:
    process = '[[process]]\nname = "vm1.guest"\nsteps = []\n'
    with pytest.raises(ExperimentError, match="has a script already"):
        read_experiment(f'title = "x"\n{process}{process}', "t.toml")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("pool", "wants path.to.key=value"),
        ("nemesis.0.target=kvm", "there is no [0], only 0 entries"),
        ("title.x=1", "'title' is not a table"),
        ("title.x.y=1", "'x' is not a table"),
        ("pool..pasids=1", "wants path.to.key=value"),
        (
            "pool.pasids=4\nrevision='x'",
            "--set pool.pasids=4: wants path.to.key=value, on one line",
        ),
        ("pool.pasids=four", "--set pool.pasids=four: $.pool.pasids: wants a whole number, not 'f"),
        ("machine.unit.0.prq=4", "there is no [0], only 0 entries"),
        ("titel=x", "--set titel=x: $: 'titel' is not a key here; did you mean 'title'?"),
        (f"title={'[' * 5_000}", ": $.title: wants text of length <= 200"),
    ],
)
def test_err_a_change_that_leads_nowhere_is_refused(change: str, reason: str) -> None:
    with pytest.raises(ExperimentError) as error:
        read_experiment('title = "x"\nnemesis = []', "t.toml", (change,))
    assert reason in str(error.value)


def test_err_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "normal_life.toml").write_text("")
    with pytest.raises(ExperimentError, match=r"did you mean 'normal_life\.toml'"):
        load(tmp_path / "normal_live.toml")


def test_err_a_file_that_is_too_large_or_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xff" * 11)
    with pytest.raises(ExperimentError, match="larger than 10 bytes"):
        read_toml(path, 10)
    with pytest.raises(ExperimentError, match="cannot be read"):
        read_toml(path, 100)


def test_err_deep_nesting_is_refused_and_not_a_crash() -> None:
    with pytest.raises(ExperimentError, match="not TOML"):
        decode(f"x = {'[' * 100_000}", "t.toml", Experiment)


@pytest.mark.parametrize(
    ("file", "witness", "reason"),
    [
        (
            "iommufd/s16_the_next_process_gets_the_number",
            "pasid-reused",
            "never seen on the stack 'iommufd'; did you mean 'mm-pasid-reused'? (witnesses there: ",
        ),
        (
            "ioasid/normal_life",
            "mm-pasid-reused",
            "never seen on the stack 'ioasid'; did you mean 'pasid-reused'? (witnesses there: ",
        ),
    ],
)
def test_err_a_witness_of_the_other_stack(file: str, witness: str, reason: str) -> None:
    change = f"expect.sometimes=['page-answered', '{witness}']"
    experiment = load(ROOT / "experiments" / f"{file}.toml", (change,))
    with pytest.raises(ExperimentError, match=re.escape(reason)) as error:
        properties_of(experiment, "t.toml")
    assert str(error.value).startswith(f"t.toml: $.expect.sometimes[1]: '{witness}' is ")


def test_guests_of_today_keep_the_witnesses_of_their_file() -> None:
    path = ROOT / "experiments" / "ioasid" / "normal_life.toml"
    names = {one.name for one in properties_of(load(path, ("revision='linux-7.3'",)), "t.toml")}
    assert {"pasid-reused", "page-answered"} <= names
