"""The leak that 9759ae2cee7c mends cannot be reached: each group has somebody else who frees it.

A group on the list of its device is also a worker's, or, until 738e6f32e61d, a context's.  So what
removal does not free is freed; and what it does free is freed under them, where nothing waits for
them before: that is how bug 2 and bug 3 come to harm, and SMMUv3 of 7.3, which does not drain.
"""

from dataclasses import replace
from typing import Any, Final

import pytest

from actors.defects.group_on_two_lists import KeepsWhatItGivesAway
from clusters.cluster import ActorClass, Role
from clusters.lineup import SOUND, Lineup
from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.world_space import WorldSpace
from clusters.sim.strategies import prepared
from experiments.harness.config import read_experiment
from experiments.harness.reading import EXPERIMENTS
from experiments.harness.setup import setup_of
from protocol.effects import Out
from protocol.history import Record
from protocol.properties.fault_groups_have_one_owner import FaultGroupsHaveOneOwner
from protocol.properties.no_use_after_free import NoUseAfterFree
from tests.defects.removed_group_not_freed import LeavesItToItsOwner

TWO_LISTS: Final = "group-on-two-lists"
FIRST: Final = "iopf-reference-dropped-first"
UNDRAINED: Final = "linux-7.3"
"""Of SMMUv3."""


class EachIsFreedOnce(FaultGroupsHaveOneOwner):
    """Without what it says of lists: two of them are what is looked at here."""

    def _queued(self, record: Record) -> str | None:
        super()._queued(record)
        return None


class LeavesItOnTwoLists(LeavesItToItsOwner, KeepsWhatItGivesAway):
    """As it was before January 2025."""

    __slots__ = ()


def classes(company: tuple[str, ...], *, freed: bool) -> dict[Role, ActorClass]:
    """By role, who is another than the sound one."""
    defects = tuple(one for one in company if one != UNDRAINED)
    revision = UNDRAINED if UNDRAINED in company else SOUND
    made = Lineup(revision, defects).classes()
    if not freed:
        made["iopf"] = LeavesItOnTwoLists if TWO_LISTS in company else LeavesItToItsOwner
    return made


def searched(where: str, actors: dict[Role, ActorClass]) -> BreadthFirst[Any, Any]:
    """Every order, to the first in which something is wrong with the memory of a group."""
    (path,) = EXPERIMENTS.glob(f"*/{where}*.toml")
    lines = path.read_text("utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("defects"))
    if "arm_smmu_v3" in actors:
        text = text.replace("[[machine.unit]]\n", '[[machine.unit]]\ndriver = "arm-smmu-v3"\n')
    setup = prepared(setup_of(read_experiment(text, where), where), "breadth-first")
    rules = (EachIsFreedOnce, NoUseAfterFree)
    setup = replace(setup, classes=actors, properties=rules)
    search = BreadthFirst(WorldSpace(setup, booted=True, told=True))
    while not search.done:
        search.go_on()
    assert search.unknown == ""
    return search


CASES: Final[tuple[tuple[str, tuple[str, ...], bool], ...]] = (
    ("s20", (), False),
    (FIRST, (), False),
    ("silenced-entry-left", (), False),
    ("s20", (TWO_LISTS,), True),
    (TWO_LISTS, (TWO_LISTS,), True),
    (FIRST, (FIRST,), True),
    (FIRST, (TWO_LISTS, FIRST), True),
    ("silenced-entry-left", (TWO_LISTS, FIRST), True),
    ("replaced-fault-reference-dropped-first", (TWO_LISTS,), False),
    (FIRST, (UNDRAINED,), True),
    ("silenced-entry-left", (UNDRAINED,), True),
)
"""An experiment, in whose company it is played, and whether the free does harm there."""


@pytest.mark.long
@pytest.mark.parametrize(("where", "company", "harm"), CASES)
def test_what_removal_does_not_free_its_owner_does(
    where: str, company: tuple[str, ...], harm: bool
) -> None:
    assert searched(where, classes(company, freed=False)).found is None
    found = searched(where, classes(company, freed=True)).found
    assert (found is not None) is harm


class FreedByNobody(LeavesItToItsOwner):
    """Nor do those who answer."""

    __slots__ = ()

    def free_group(self, number: int, out: Out) -> None:
        pass


def test_err_the_search_sees_a_leak() -> None:
    actors: dict[Role, ActorClass] = {"iopf": FreedByNobody}
    found = searched("s20", actors).found
    assert found is not None
    assert found.property == EachIsFreedOnce.name
