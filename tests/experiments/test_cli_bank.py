"""`bank`, `compare`, `show`: known bugs found again, revisions side by side, stories."""

from pathlib import Path

import pytest

from experiments.harness import banking, comparing
from experiments.harness.config import load
from experiments.harness.interleaving import WIDTH
from experiments.harness.verb_compare import width
from protocol.errors import ExperimentError
from protocol.machine import IOASID, IOMMUFD
from tests.experiments.command import Command

BUG = "find-by-spid-while-pending"
RULE = "no-reference-while-pending"


def test_a_bug_is_found_by_every_seed_and_the_sound_protocol_is_silent(pasidlab: Command) -> None:
    ran = pasidlab("bank", BUG, "--seeds", "3", "--json")
    assert ran.code == 0
    (found,) = ran.object["bugs"]
    assert found["found"] == found["seeds"] == 3
    assert found["properties"] == {RULE: 3}
    assert found["silent"] == sum([found["silent"]]) > 0
    assert found["story"] >= found["told"] > 0
    assert found["problems"] == []


@pytest.mark.long
def test_the_table_is_the_same_with_two_workers(pasidlab: Command) -> None:
    one = pasidlab("bank", BUG, "--seeds", "2", "--json").object["bugs"]
    two = pasidlab("bank", BUG, "--seeds", "2", "--json", "-j", "2").object["bugs"]
    for bugs in (one, two):
        bugs[0].pop("seconds")
    assert one == two


def test_a_bug_that_is_not_found_is_missed(pasidlab: Command, here: Path) -> None:
    text = (banking.BUGS / f"{BUG}.toml").read_text()
    other = 'defects = ["kvm-ignores-a-failed-get"]'
    (here / "mended.toml").write_text(text.replace(f'defects = ["{BUG}"]', other))
    ran = pasidlab("bank", "mended.toml", "--seeds", "2", "--schedules", "5")
    assert ran.code == 1
    assert "missed     mended: found by 0 of 2 seeds only" in ran.out


def test_err_a_bug_without_a_mistake(pasidlab: Command, here: Path) -> None:
    text = (banking.BUGS / f"{BUG}.toml").read_text()
    (here / "mine.toml").write_text(text.replace(f'defects = ["{BUG}"]', ""))
    quick = ("--seeds", "1", "--no-shrink")
    ran = pasidlab("bank", "mine.toml", *quick)
    assert ran.code == 2
    sentence = "mine.toml: $.defects is missing: a bug of the bank says which mistake it has"
    assert sentence in ran.err
    assert pasidlab("bank", "mine.toml", *quick, "--defect", BUG).code == 0


@pytest.mark.long
def test_a_bug_that_another_property_catches_is_missed(pasidlab: Command, here: Path) -> None:
    text = (banking.BUGS / f"{BUG}.toml").read_text()
    (here / "other.toml").write_text(text.replace(RULE, "vm-entry-lifted"))
    ran = pasidlab("bank", "other.toml", "--seeds", "2")
    assert ran.code == 1
    assert f"missed     other: found by {RULE}" in ran.out


@pytest.mark.long
def test_the_sound_protocol_alone(pasidlab: Command) -> None:
    ran = pasidlab("bank", BUG, "--sound", "50000", "--json")
    assert ran.code == 0
    assert ran.object["deliveries"] >= 50_000
    assert ran.object["broken"] == {}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("bank", "find-by-spid-while-pendng"), f"did you mean '{BUG}'?"),
        (("bank", "right.toml"), "$.expect.violated: a bug says which property it violates"),
        (("bank", "none.toml"), "none.toml: no such file"),
        (("show", "find-by-spid"), f"'find-by-spid' is neither a bug; did you mean '{BUG}'?"),
        (("show", BUG, "--defect", BUG), "name a Python file that the run was of"),
        (("compare", "right.toml", "--revision", "v77"), "--revision: 'v77' is not a revision"),
        (
            ("run", "right.toml", "--revision", "linux-6.12"),
            "actors that the stack 'ioasid' does not",
        ),
        (("explore", "right.toml", "--bisect-revisions", "sound"), "is not a range like v1..v4"),
        (("explore", "right.toml", "--bisect-revisions", "x..sound"), "'x' is not a revision"),
    ],
)
def test_err_what_is_not_there(pasidlab: Command, words: tuple[str, ...], sentence: str) -> None:
    ran = pasidlab(*words)
    assert ran.code == 2
    assert sentence in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.long
def test_a_bug_is_shown_in_domain_words_and_as_a_mail(pasidlab: Command) -> None:
    shown = pasidlab("show", BUG)
    assert shown.code == 0
    assert f"violates   {RULE}" in shown.out
    assert "frees PASID 1: PASID 1 FREE_PENDING, 2 references" in shown.out
    mail = pasidlab("show", BUG, "--mail")
    lines = mail.out.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert any("ioasid_find_by_spid(1)" in line for line in lines)
    assert lines[-2].startswith("=> vdcm.dsa0:vm1:ims got a reference")
    assert pasidlab("show", BUG, "--mail").out == mail.out


def test_a_run_is_shown_like_a_bug(pasidlab: Command) -> None:
    pasidlab("run", "wrong.toml", "--seed", "7")
    ran = pasidlab("show", "latest")
    assert ran.code == 0
    assert "violates   outcomes-as-scripted" in ran.out


def test_revisions_stand_side_by_side_on_the_same_schedules(pasidlab: Command) -> None:
    path = banking.BUGS / f"{BUG}.toml"
    words = ("compare", path, "--set", "defects=[]", "--revision", "sound", "--schedules", "20")
    ran = pasidlab(*words)
    assert ran.code == 0
    assert "20 schedules of each, seed 0x1" in ran.out
    ran = pasidlab(*words, "--defect", BUG, "--json")
    assert ran.code == 1
    (column,) = ran.object["columns"]
    assert list(column["violated"]) == [RULE]
    assert column["messages"] > 10
    assert column["lives"] == 20
    said = pasidlab(*words, "--defect", BUG).out
    first = column["violated"][RULE]["first"]
    assert "a number beside a property: the first schedule in which it is violated\n" in said
    assert f"\n{RULE}  (sound, schedule {first})\n" in said


def test_a_wide_figure_is_apart_from_its_neighbour() -> None:
    assert width(["sound", "held", "102.7"]) == 7
    assert width(["linux-5.8", "held"]) == 11
    assert width(["sound", "1234567.8"]) == 10


def test_a_percentile_is_a_value_that_there_is() -> None:
    assert comparing.percentile([], 50) is None
    assert comparing.percentile([1, 2, 3, 4], 50) == 2
    assert comparing.percentile([1, 2, 3, 4], 99) == 4
    assert comparing.percentile([5], 1) == 5


def test_without_a_revision_all_are_asked_that_can_play_it() -> None:
    folder = banking.BUGS.parent / "ioasid"
    names, refused = comparing.comparable(load(folder / "normal_life.toml"), "x")
    assert names[0] == "v1"
    assert names[-2:] == ["linux-7.3", "sound"]
    assert refused == {}
    names, refused = comparing.comparable(load(folder / "process_killed.toml"), "x")
    assert "linux-7.3" not in names
    assert refused["linux-7.3"].startswith("$.processes.count: cannot be played with 'linux-7.3'")


def test_what_stands_on_an_allocator_is_not_asked_where_there_is_none(pasidlab: Command) -> None:
    path = banking.BUGS.parent / "iommufd" / "s15_killed_while_the_device_works.toml"
    ran = pasidlab("compare", path, "--schedules", "1")
    assert ran.code == 1
    assert "not asked: linux-6.1: " in ran.err
    assert "actors that the stack 'iommufd' does not have (core; it has iommu_core" in ran.err
    assert "linux-6.1" not in ran.out.split()
    rows = {line[:37].strip(): line[37:].split() for line in ran.out.splitlines()}
    assert set(rows["messages per life"]) == {"-"}
    assert set(rows["INVALID responses per 100 lives"]) == {"-"}
    refused = pasidlab("run", path, "--revision", "linux-6.1")
    assert refused.code == 2
    assert "'linux-6.1' is of actors that the stack 'iommufd'" in refused.err
    assert "linux-6.1" not in comparing.published(IOMMUFD)


def test_who_could_not_live_with_a_fault_is_not_asked() -> None:
    path = banking.BUGS.parent / "ioasid" / "kvm_loses_its_memory.toml"
    names, refused = comparing.comparable(load(path), "x")
    assert names[-1] == "sound"
    assert {"v1", "v2", "v3", "v4", "dcp", "linux-6.1", "linux-7.3"} == set(refused)
    assert refused["v4"].startswith("$.nemesis[0].target: vm1.kvm cannot lose its memory")


def test_err_nobody_is_left_or_one_that_was_named_cannot(pasidlab: Command) -> None:
    path = banking.BUGS.parent / "ioasid" / "kvm_loses_its_memory.toml"
    nobody = pasidlab("compare", path, "--set", "nemesis.0.target=core", "--schedules", "1")
    assert nobody.code == 2
    assert f"{path}: $.nemesis[0].target: core cannot lose its memory" in nobody.err
    named = pasidlab("compare", path, "--revision", "sound", "--revision", "v4")
    assert named.code == 2
    assert "(so it is with 'v4')" in named.err


def test_err_a_bisection_stays_on_one_stack() -> None:
    with pytest.raises(ExperimentError, match=r"'linux-7\.3' has another stack than the others"):
        comparing.between("v4..linux-7.3", IOASID)
    with pytest.raises(ExperimentError, match=r"'v4' is of actors that the stack 'iommufd' does"):
        comparing.between("v4..linux-7.3", IOMMUFD)


@pytest.mark.long
def test_two_decades_side_by_side_say_what_does_not_apply(pasidlab: Command) -> None:
    path = banking.BUGS.parent / "ioasid" / "free_before_unbind.toml"
    words = ("compare", path, "--revision", "v4", "--revision", "linux-7.3", "--schedules", "4")
    ran = pasidlab(*words)
    assert ran.code == 1
    table = ran.out.partition("\n\n")[0]
    rows = {line.partition(" ")[0]: line.split() for line in table.splitlines()}
    assert rows["told-while-bound"][2] == "n/a"
    assert rows["descriptors-ended-before-reclaim"][2] == "held"
    assert "does not apply to linux-7.3: " in ran.out
    answer = pasidlab(*words, "--json").object
    assert "references-add-up" in answer["does_not_apply"]["linux-7.3"]
    assert "references-add-up" not in answer["held"]
    assert "dma-in-its-own-life" in answer["held"]
