import pytest

from clusters.cluster import Actor
from clusters.nemesis import OF_LINKS, Nemesis, candidates, check, passes, roles_of
from protocol.errors import ExperimentError
from protocol.names import Name
from tests.clusters.toys import COUNTER, NO_MEMORY, NOTHING, Counter, User

ROLES = {"core": "core", **{f"vdcm.dsa{k}": "vdcm" for k in range(4)}, "vm1.kvm": "kvm"}
VDCMS = [name for name, role in ROLES.items() if role == "vdcm"]
ACTORS: dict[Name, Actor] = {COUNTER: Counter(1), "user1": User(1), "user2": User(1)}


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("vm1.kvm", (["vm1.kvm"], 1)),
        ("kvm", (["vm1.kvm"], 1)),
        ("vdcm", (VDCMS, 1)),
        ("one vdcm", (VDCMS, 1)),
        ("minority vdcm", (VDCMS, 1)),
        ("majority vdcm", (VDCMS, 3)),
        ("all vdcm", (VDCMS, 4)),
        ("minority kvm", (["vm1.kvm"], 0)),
        ("core", (["core"], 1)),
        ("some vdcm", ([], 0)),
        ("guest", ([], 0)),
    ],
)
def test_a_target_is_an_actor_or_some_of_a_role(target: str, found: tuple[list[Name], int]) -> None:
    assert candidates(Nemesis("crash", target), ROLES) == found


@pytest.mark.parametrize("fault", OF_LINKS)
@pytest.mark.parametrize(
    "target", ["core -> vm1.kvm", "core <-> vm1.kvm", "core -> *", "* -> core"]
)
def test_only_a_fault_of_links_may_name_some(fault: str, target: str) -> None:
    assert candidates(Nemesis(fault, target), ROLES) == ([target], 1)
    assert candidates(Nemesis("pause", target), ROLES) == ([], 0)


@pytest.mark.parametrize(("mode", "at_once"), [("", 1), ("minority ", 1), ("all ", 4)])
def test_a_link_may_have_some_of_a_role_at_one_end(mode: str, at_once: int) -> None:
    to_core = candidates(Nemesis("drop", f"{mode}vdcm -> core"), ROLES)
    assert to_core == ([f"{name} -> core" for name in VDCMS], at_once)
    both_ways = candidates(Nemesis("partition", f"core <-> {mode}vdcm"), ROLES)
    assert both_ways == ([f"core <-> {name}" for name in VDCMS], at_once)
    assert candidates(Nemesis("drop", f"{mode}vdcm -> vdcm"), ROLES) == ([], 0)


def test_a_failure_without_a_target_is_everybodys() -> None:
    assert passes(Nemesis("fail", site="x"), ROLES, "core")
    assert passes(Nemesis("fail", "all vdcm", site="x"), ROLES, "vdcm.dsa3")
    assert not passes(Nemesis("fail", "all vdcm", site="x"), ROLES, "core")


def test_an_actor_that_is_not_of_the_machine_stands_for_itself() -> None:
    assert roles_of(NOTHING, ["core", "toy"]) == {"core": "core", "toy": "toy"}


@pytest.mark.parametrize(
    "nemesis",
    [
        Nemesis("crash", COUNTER),
        Nemesis("lose", "user1"),
        Nemesis("pause", "all user1"),
        Nemesis("delay", "user1 -> counter"),
        Nemesis("partition", "user1 <-> counter"),
        Nemesis("partition", "user1"),
        Nemesis("drop", "user1 -> *", probability=0.3),
        Nemesis("duplicate", "all user2", probability=1.0),
        Nemesis("fail", site=NO_MEMORY.name, nth=2),
        Nemesis("fail", COUNTER, site=NO_MEMORY.name, probability=0.5),
    ],
)
def test_what_can_be_done_is_let_pass(nemesis: Nemesis) -> None:
    check(nemesis, NOTHING, ACTORS, "$.nemesis[0]")


@pytest.mark.parametrize(
    ("nemesis", "sentence"),
    [
        (Nemesis("krash", "user1"), r".fault: 'krash' is not a fault; did you mean 'crash'?"),
        (Nemesis("pause", "usr1"), r".target: 'usr1' is neither an actor nor a role; did you mean"),
        (Nemesis("pause", "minority user1"), "is nobody: there are 1 of them"),
        (
            Nemesis("delay", "user1 -> conter"),
            "'conter' is not an actor or a role; did you mean 'counter'?",
        ),
        (Nemesis("drop", "usr1 <-> *"), "'usr1' is not an actor or a role; did you mean 'user1'?"),
        (Nemesis("drop", "minority user1 -> counter"), "is nobody: too few for a minority"),
        (Nemesis("drop", "user1 -> user1"), "goes from user1 to itself"),
        (Nemesis("partition", "user1", probability=0.5), ".probability: is of duplicate, drop"),
        (Nemesis("lose", COUNTER), "counter cannot be lost"),
        (Nemesis("amnesia", COUNTER), "counter cannot lose its memory"),
        (Nemesis("crash", "user1", every_steps=(9, 3)), ".every_steps: [9, 3] is not a range"),
        (Nemesis("crash", "user1", every_steps=(0, 3)), ".every_steps: at least 1"),
        (Nemesis("crash", "user1", lasts_seconds=(-1, 3)), ".lasts_seconds: [-1, 3] is not"),
        (Nemesis("crash", "user1", site="x"), "are of 'fail' only"),
        (Nemesis("crash", "user1", replaced=True), "is of pause only, not of crash"),
        (Nemesis("crash", "user1", times=-1), "count from 0"),
        (Nemesis("fail", site=NO_MEMORY.name, probability=1.5), ".probability: 1.5 is not in"),
        (Nemesis("fail", site="counter.aloc.memory"), "did you mean 'counter.alloc.memory'?"),
        (Nemesis("fail", "user1", site=NO_MEMORY.name), "(sites of the target: none)"),
    ],
)
def test_err_what_cannot_be_done_is_refused_in_one_sentence(
    nemesis: Nemesis, sentence: str
) -> None:
    with pytest.raises(ExperimentError) as refused:
        check(nemesis, NOTHING, ACTORS, "f.toml: $.nemesis[0]")
    assert str(refused.value).startswith(("f.toml: $.nemesis[0]", "counter cannot"))
    assert sentence in str(refused.value)
