"""What is judged of the revisions of a modern kernel: who violates what, and on which experiment.

A row that changes is news about the model.  Sound, linux-7.3 and group-table, which are the same
design, violate nothing anywhere.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from clusters.lineup import SOUND, Lineup
from clusters.sim.world import simulate
from experiments.harness.comparing import published
from protocol.machine import IOMMUFD
from tests.worlds import world_of

FOLDER: Final = Path(__file__).parents[2] / "experiments" / "iommufd"
SCHEDULES: Final = 12
ANSWER: Final = "outcomes-as-scripted"
SEEN: Final = "handles-seen-when-attached"

SAME: Final = (SOUND, "linux-7.3", "group-table")
"""One design under three names."""
VIOLATED: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "seed_001_table_of_a_group": {
        "group-table-singleton": (ANSWER,),
        "device-table": (ANSWER,),
        "null-slot": (ANSWER,),
    },
    "seed_003_slot_that_looks_free": {
        "linux-6.12": (ANSWER,),
        "errno-slot": (ANSWER,),
        "null-slot": (ANSWER,),
    },
    "seed_003_bind_beside_a_plain_pasid": {"null-slot": (ANSWER,), "sva-off-on-x86": (ANSWER,)},
    "handle_seen_before_it_is_attached": {
        "linux-6.12": (SEEN,),
        "errno-slot": (SEEN,),
        "null-slot": (SEEN, ANSWER),
        "group-table-singleton": (ANSWER,),
    },
    "changed_between_6_12_and_7_3": {
        "linux-6.12": (ANSWER,),
        "errno-slot": (ANSWER,),
        "null-slot": (ANSWER,),
    },
    "sva_shared_and_looked_up": {"sva-off-on-x86": (ANSWER,)},
}
"""By experiment the revisions that violate something there; all others violate nothing."""

CASES: Final = [
    (name, revision)
    for name, violated in VIOLATED.items()
    for revision in (*SAME, *(other for other in published(IOMMUFD) if other not in SAME))
    if revision in SAME or revision in violated
]


@pytest.mark.long
@pytest.mark.parametrize(("name", "revision"), CASES)
def test_who_violates_what(name: str, revision: str) -> None:
    text = (FOLDER / f"{name}.toml").read_text("utf-8")
    setup = replace(world_of(text, Lineup(revision).classes()), stop_at_first=False)
    results = [simulate(setup, seed) for seed in range(SCHEDULES)]
    assert all(result.quiet for result in results)
    found = {one.property: one.sentence for result in results for one in result.violations}
    assert sorted(found) == sorted(VIOLATED[name].get(revision, ())), found


def test_the_table_names_revisions_that_there_are() -> None:
    named = {revision for row in VIOLATED.values() for revision in row}
    assert named < set(published(IOMMUFD))
    assert not named & {*SAME}
