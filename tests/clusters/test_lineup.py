"""Revisions and defects by name or as a file, one on top of another; what is wrong with one."""

import pytest

from actors.ioasid_core import IoasidCore
from actors.kvm import Kvm
from clusters import lineup
from clusters.cluster import ROLES
from clusters.lineup import Lineup, Own, check
from protocol.errors import ExperimentError

HEAD = "from actors.ioasid_core import IoasidCore\nfrom actors.kvm import Kvm\n"
MIN = Own(
    "min.py",
    f"""{HEAD}
class Late(IoasidCore):
    __slots__ = ()
    def may_get(self, life):
        return True
    def may_find(self, life):
        return False
SOURCE = "a mail"
CLASSES = {{"core": Late}}
""",
)
MAX = Own(
    "max.py",
    f"""{HEAD}
class Early(IoasidCore):
    __slots__ = ()
    def may_find(self, life):
        return True
class Same(Kvm):
    __slots__ = ()
SOURCE = "a patch"
CLASSES = {{"core": Early, "kvm": Same}}
""",
)


FIELD = f"""{HEAD}
from dataclasses import dataclass
@dataclass(slots=True)
class More(IoasidCore):
    {{0}}: int = 0
CLASSES = {{{{'core': More}}}}
"""


def rule(kind: type, name: str) -> str:
    """The file that says this rule of a class."""
    return str(getattr(kind, name).__code__.co_filename)


def test_the_sound_protocol_has_no_class_of_its_own() -> None:
    assert Lineup().classes() == {}
    assert Lineup().title == "sound"


def test_a_defect_goes_on_top_of_a_revision() -> None:
    both = Lineup("min.py", ("max.py",), (MIN, MAX))
    core = both.classes()["core"]
    assert isinstance(core, type)
    assert issubclass(core, IoasidCore)
    assert rule(core, "may_find") == MAX.name
    assert rule(core, "may_get") == MIN.name
    kvm: object = both.classes()["kvm"]
    assert isinstance(kvm, type)
    assert issubclass(kvm, Kvm)
    assert both.title == "min.py + max.py"


def test_the_defect_that_is_named_last_is_outermost() -> None:
    core = Lineup("sound", ("max.py", "min.py"), (MIN, MAX)).classes()["core"]
    assert isinstance(core, type)
    assert issubclass(core, IoasidCore)
    assert rule(core, "may_find") == MIN.name


def test_every_revision_and_defect_of_the_tree_is_of_the_right_form() -> None:
    for name in lineup.revisions():
        check(Lineup(name), "revision", "defects")
        assert lineup.about(name).SOURCE
    for name in lineup.defects():
        check(Lineup("sound", (name,)), "revision", "defects")
        assert lineup.about(name).SOURCE


def test_err_a_file_that_nobody_named_does_not_run() -> None:
    with pytest.raises(ExperimentError, match=r"^x\.py: a Python file runs only if you name it"):
        Lineup("x.py").classes()
    assert not Lineup("min.py", (), (MIN,)).admitted()


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (Lineup("sund"), r"^R: 'sund' is not a revision; did you mean 'sound'\? \(revisions: "),
        (Lineup("sound", ("nonsense",)), r"^D\[0\]: 'nonsense' is not a defect.* list defects\)$"),
        (Lineup("sound", ("min.py",) * 2, (MIN,)), r"^D\[1\]: 'min.py' is named twice$"),
    ],
)
def test_err_what_is_not_there(made: Lineup, sentence: str) -> None:
    with pytest.raises(ExperimentError, match=sentence):
        check(made, "R", "D")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1\n", r"^a\.py: has no CLASSES: a dict from role to class$"),
        ("x = (\n", r"^a\.py: line 1: '\(' was never closed$"),
        ("\nx = y\n", r"^a\.py: line 2: NameError: name 'y' is not defined$"),
        ("import nothing_of_this_name\n", r"^a\.py: line 1: ModuleNotFoundError: "),
        (
            "CLASSES = {'coer': int}\n",
            r"^a\.py: CLASSES: 'coer' is not a role; did you mean",
        ),
        (
            "CLASSES = {'core': int}\n",
            r"^a\.py: CLASSES\['core'\]: is not a subclass",
        ),
    ],
)
def test_err_a_file_that_is_none(text: str, sentence: str) -> None:
    with pytest.raises(ExperimentError, match=sentence):
        Lineup("a.py", (), (Own("a.py", text),)).classes()


def test_of_a_defect_only_what_the_revision_has_not_goes_on_top_of_it() -> None:
    """The core of v1 is under a mutex already; what S5 needs besides is a caller."""
    v1 = Lineup("v1").classes()
    both = Lineup("v1", ("free-in-rcu-callback",)).classes()
    assert both["core"] is v1["core"]
    assert both["vfio"] is not ROLES["vfio"]


def test_err_two_that_do_not_go_together() -> None:
    own = (Own("a.py", FIELD.format("a")), Own("b.py", FIELD.format("b")))
    with pytest.raises(ExperimentError, match=r"^a\.py and b\.py do not go together: "):
        Lineup("a.py", ("b.py",), own).classes()


def test_a_revision_may_have_the_defect_already() -> None:
    text = (
        "from actors.defects.find_by_spid_while_pending import FindsThePending\n"
        "class Published(FindsThePending):\n"
        "    __slots__ = ()\n"
        "CLASSES = {'core': Published}\n"
    )
    made = Lineup("has.py", ("find-by-spid-while-pending",), (Own("has.py", text),))
    assert getattr(made.classes()["core"], "__name__", "") == "Published"


def test_roles_are_what_a_machine_has() -> None:
    assert set(Lineup("sound", ("max.py",), (MAX,)).classes()) <= set(ROLES)
