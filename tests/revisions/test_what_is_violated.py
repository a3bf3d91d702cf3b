"""Each published revision runs to its end; what it violates on the way is what is known of it.

A row that changes is news about the model, or about the mails: `violated` says where to look.
"""

from typing import Final, TypeAlias

import pytest

from clusters.lineup import revisions
from tests.revisions.played import REVISIONS, played, violated

pytestmark = pytest.mark.long

SCHEDULES: Final = 60

Row: TypeAlias = dict[str, str]
"""Properties, and why they are violated."""

NORMAL: Final[dict[str, tuple[Row, Row]]] = {
    "v1": (
        {
            "locks-in-order": "S3: BIND's handler lets go of the binder's mutex",
            "flushes-reach-the-right-unit": "S12: a teardown has no drain",
            "subscribers-called-in-order": "S19: BIND too is told by priority",
        },
        {},
    ),
    "v2": ({"subscribers-called-in-order": "S19: BIND too is told by priority"}, {}),
    "v3": (
        {
            "unbind-names-the-bound-spid": "S18: the SPID is cleared before UNBIND",
            "subscribers-called-in-order": "S19",
            "outcomes-as-scripted": "S18: KVM keeps its entry, so the gPASID cannot be bound again",
        },
        {},
    ),
    "v4": (
        {
            "told-while-bound": "S9: BIND is told before there is an entry",
            "subscribers-called-in-order": "S19",
            "no-use-after-free": "a set that has become empty is destroyed, and used once more",
            "outcomes-as-scripted": "so the second alloc fails",
        },
        {"driver-done-before-reclaim": "S26: the work that drains a shared WQ has no reference"},
    ),
    "dcp": (
        {
            "outcomes-as-scripted": "S25a: disabling a WQ fails, as its put was not the last",
            "told-while-bound": "S9",
            "subscribers-called-in-order": "S19",
            "exited-vms-leave-nothing": "S43: a closed device leaves its notifier",
        },
        {"freed-pasids-are-reclaimed": "S25d: an interrupt entry is never put"},
    ),
}
"""On normal_life.toml: what is always seen, and what is seen now and then."""

FREED: Final[dict[str, tuple[Row, Row]]] = {
    "v1": (
        {
            "locks-in-order": "S3, S4",
            "no-deadlock": "S4: bind and free wait for each other's lock",
            "operations-end": "S4",
            "free-answered-at-once": "S4",
            "freed-pasids-are-reclaimed": "S4",
            "no-use-after-free": "S2: the svm is freed in the walk of its list",
            "unreferenced-at-reclaim": "S6: nobody's reference is waited for",
            "translations-cleared-before-reclaim": "S6: KVM still translates",
            "descriptors-ended-before-reclaim": "S6: the device still runs",
            "page-requests-settled-before-reclaim": "S6, S12",
            "flushes-reach-the-right-unit": "S12: a teardown has no drain",
            "page-requests-end": "S12",
            "subscribers-called-in-order": "S19: the global chain is run first",
            "told-while-bound": "no UNBIND from inside the handler of FREE",
        },
        {
            "lives-apart-in-a-device": "S6: the number lives again, and the device still runs",
            "dma-in-its-own-life": "S6: by the tables of its next life",
            "page-answers-in-the-same-life": "S12: a page request meets the next life",
        },
    ),
    "v2": (
        {
            "driver-done-before-reclaim": "S26: the work that drains a shared WQ has no reference",
            "descriptors-ended-before-reclaim": "S19: VT-d tears down while the device runs",
            "subscribers-called-in-order": "S19: the global chain is run first",
            "works-in-order": "the system workqueue has no order, V4 made one",
        },
        {"page-requests-settled-before-reclaim": "S26: what still runs has asked for pages"},
    ),
    "v3": (
        {
            "freed-pasids-are-reclaimed": "S17: FREE reaches nobody",
            "unbind-names-the-bound-spid": "S18",
            "subscribers-called-in-order": "S19",
        },
        {},
    ),
    "v4": (
        {
            "atomic-code-never-sleeps": "S20: the drain is under a spinlock",
            "no-use-after-free": "a set that has become empty is destroyed, and used once more",
            "driver-done-before-reclaim": "S26, as in v2",
            "descriptors-ended-before-reclaim": "S19: VT-d tears down while the device runs",
            "subscribers-called-in-order": "S19: the global chain is run first",
            "told-while-bound": "S9: BIND is told before there is an entry",
        },
        {
            "page-requests-settled-before-reclaim": "S26",
            "only-the-owner-acts": "a pointer to a set that is gone has become another VM's",
        },
    ),
    "dcp": (
        {
            "atomic-code-never-sleeps": "S20",
            "driver-done-before-reclaim": "S25c: the work puts a reference of somebody else",
            "descriptors-ended-before-reclaim": "S19, S25c, S25f",
            "subscribers-called-in-order": "S19",
            "told-while-bound": "S9",
        },
        {
            "page-requests-settled-before-reclaim": "S25c, S25f",
            "contexts-hold-references": "S25c: the one whose reference it was still needs it",
        },
    ),
}
"""On free_before_unbind.toml: the same."""


def compared(found: Row, expected: tuple[Row, Row]) -> None:
    """All that is always seen, and nothing that nobody knows."""
    always, sometimes = expected
    assert sorted(always) == sorted(one for one in found if one not in sometimes), found


def test_every_revision_of_the_first_series_is_here() -> None:
    assert set(REVISIONS) <= set(revisions())
    assert tuple(NORMAL) == tuple(FREED) == REVISIONS


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_normal_life_comes_to_its_end(revision: str) -> None:
    compared(violated(played("normal_life", revision), SCHEDULES), NORMAL[revision])


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_guest_frees_before_it_unbinds(revision: str) -> None:
    compared(violated(played("free_before_unbind", revision), SCHEDULES), FREED[revision])


@pytest.mark.parametrize("name", ["normal_life", "free_before_unbind"])
def test_the_sound_protocol_violates_nothing(name: str) -> None:
    assert violated(played(name, "sound"), SCHEDULES) == {}
