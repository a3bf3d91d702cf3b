"""Steps of callers: each argument is of its type, and what they name is there."""

from pathlib import Path
from typing import Final, get_args

import pytest

from experiments.harness.config import plans_of, read_experiment
from experiments.harness.tables import DomainKind
from protocol.domains import BLOCKED, DMA, NESTED, SVA, UNMANAGED
from protocol.errors import ExperimentError
from tests.experiments.command import Command

HEAD: Final = """title = "t"
stack = "iommufd"
[[machine.unit]]
name = "dmar0"
[[machine.device]]
name = "d1"
unit = "dmar0"
[[machine.device]]
name = "d2"
unit = "dmar0"
[[machine.device]]
name = "bare"
unit = ""
[[machine.group]]
name = "g"
devices = ["d1"]
[[machine.domain]]
name = "paging"
unit = "dmar0"
[callers]
count = 2
"""
ATTACH: Final = "attach_device_pasid device=d1 pasid=5 domain=paging handle=h"
REQUEST: Final = "report_page_request device=d1 pasid=5 group=1 page=1 last=true"
PASID: Final = "pasid wants a number from 0 to 4294967295, or a $variable, not "


def with_step(step: str) -> str:
    """The machine, and one script."""
    return f'{HEAD}[[process]]\nname = "caller1"\nsteps = ["p = alloc_ioas", "{step}"]\n'


@pytest.mark.parametrize(
    ("right", "wrong", "why"),
    [
        (ATTACH, ("pasid=5", "pasid=-1"), f"{PASID}'-1'"),
        (ATTACH, ("pasid=5", "pasid=five"), f"{PASID}'five'"),
        (ATTACH, ("pasid=5", "pasid="), f"{PASID}''"),
        (ATTACH, ("pasid=5", "pasid=0x5"), f"{PASID}'0x5'"),
        (ATTACH, ("pasid=5", "pasid=5.0"), f"{PASID}'5.0'"),
        (ATTACH, ("pasid=5", "pasid=4294967296"), f"{PASID}'4294967296'"),
        (ATTACH, ("pasid=5", f"pasid={'9' * 5_000}"), f"{PASID}'99"),
        (ATTACH, ("pasid=5", "pasid=$"), "pasid: '$' is not a variable: $name"),
        (ATTACH, ("pasid=5", "pasid=$q"), "'q' is not set before"),
        (REQUEST, ("page=1", "page=-1"), "page wants a number from 0 to 18446744073709551615"),
        (REQUEST, ("last=true", "last=maybe"), "last wants true or false, not 'maybe'"),
        (REQUEST, ("last=true", "last=$p"), "last wants true or false, not '$p'"),
        (
            "enable_wq at=d1 vm=m mode=shared pasid=0",
            ("mode=shared", "mode=shred"),
            "mode wants 'shared' or 'dedicated', not 'shred'",
        ),
        (
            "answer_fault fault=1 cookie=1 code=0 also=9+2",
            ("9+2", "9+x"),
            "also wants numbers, joined by +, not '9+x'",
        ),
        (
            "answer_fault fault=1 cookie=1 code=0 also=9+2",
            ("9+2", "9+-2"),
            "also wants numbers, joined by +, not '9+-2'",
        ),
        (ATTACH, ("d1", "d9"), "device: 'd9' is not a device; did you mean 'd2'? (there are: d1, "),
        (
            ATTACH,
            ("paging", "pagin"),
            "domain: 'pagin' is not a domain; did you mean 'paging'? (there are: paging, blocked,",
        ),
        (
            ATTACH.replace("paging", "SVA@dmar0.m.1"),
            ("dmar0", "dmar9"),
            "domain: 'SVA@dmar9.m.1': 'dmar9' is not a unit; did you mean 'dmar0'?",
        ),
        (
            ATTACH.replace("paging", "SVA@dmar0.m.1"),
            ("SVA", "SVB"),
            "'SVB' is not a kind; did you mean 'SVA'?",
        ),
        ("attach_handle_get group=g pasid=5 kind=", ("=g", "=gg"), "group: 'gg' is not a group"),
        ("attach_handle_get group=d2 pasid=5 kind=", ("d2", "d1"), "group: 'd1' is not a group"),
        (
            "attach_handle_get group=g pasid=5 kind=SVA",
            ("SVA", "NOSUCH"),
            "kind: 'NOSUCH' is not a kind",
        ),
        ("pci_enable_pasid at=d2", ("d2", "bare"), "at: 'bare' is not a device behind a unit"),
        ("pci_enable_pasid at=d2", ("d2", "dmar0"), "at: 'dmar0' is not a device behind a unit"),
        (
            "alloc_ioas at=caller2.iommufd",
            ("caller2.", "caller3."),
            "at: 'caller3.iommufd' is not a context of iommufd; did you mean 'caller",
        ),
        (f"{ATTACH} at=iommu_core", ("iommu_core", "x"), "at: 'x' has no such call, only 'iommu_c"),
    ],
)
def test_err_an_argument_that_cannot_be(right: str, wrong: tuple[str, str], why: str) -> None:
    read_experiment(with_step(right), "x.toml")
    with pytest.raises(ExperimentError) as error:
        read_experiment(with_step(right.replace(*wrong)), "x.toml")
    assert str(error.value).startswith("x.toml: $.process[0].steps[1]: ")
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_err_nobody_has_files_of_vfio() -> None:
    step = with_step("open_cdev device=d1")
    with pytest.raises(ExperimentError, match="no device has VFIO's device file"):
        read_experiment(step, "x.toml")
    vfio = step.replace('name = "d1"\n', 'name = "d1"\ndriver = "vfio"\n', 1)
    assert read_experiment(vfio, "x.toml").machine.device[0].driver == "vfio"


def test_err_a_wrong_argument_is_2_and_no_bug_of_ours(pasidlab: Command, here: Path) -> None:
    (here / "x.toml").write_text(with_step(ATTACH.replace("pasid=5", "pasid=five")))
    ran = pasidlab("run", "x.toml")
    assert (ran.code, ran.out) == (2, "")
    assert "x.toml: $.process[0].steps[1]: attach_device_pasid: pasid wants" in ran.err


@pytest.mark.parametrize(
    "step",
    [
        "sva_bind_device device=d1 mm=nobody",
        "discard_partial_faults unit=none",
        "claim_dma_owner device=bare owner=o",
        "bind_device device=bare group=bare",
        "free_global_pasid pasid=4294967295",
        "set_dev_pasid device=d1 pasid=5 domain=blocked old=",
        "detach_device_pasid device=d1 pasid=5 domain=default",
        "sva_unbind_device handle=nothing",
    ],
)
def test_what_the_kernel_itself_refuses_can_be_said(step: str) -> None:
    plans = plans_of(read_experiment(with_step(step), "x.toml"))
    assert plans["caller1"].steps[1].text == step


def test_err_a_domain_of_a_unit_that_is_not_there() -> None:
    text = HEAD.replace('name = "paging"\nunit = "dmar0"', 'name = "paging"\nunit = "dmar9"')
    with pytest.raises(ExperimentError) as error:
        read_experiment(text, "x.toml")
    said = "$.machine.domain[0].unit: 'dmar9' is not a unit; did you mean 'dmar0'? (units: dmar0;"
    assert said in str(error.value)


def test_the_kinds_of_domains_are_those_of_the_protocol() -> None:
    assert set(get_args(DomainKind)) == {UNMANAGED, NESTED, SVA, BLOCKED, DMA, "IDENTITY"}
