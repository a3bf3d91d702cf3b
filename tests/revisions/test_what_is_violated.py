"""Each published revision runs to its end; what it violates on the way is what is known of it.

A row that changes is news about the model, or about the mails: `violated` says where to look.
"""

from typing import Final

import pytest

from clusters.lineup import revisions
from tests.revisions.played import REVISIONS, played, violated

NORMAL: Final[dict[str, dict[str, str]]] = {
    "v1": {
        "locks-in-order": "S3: BIND's handler lets go of the binder's mutex",
        "flushes-reach-the-right-unit": "S12: a teardown has no drain",
    },
    "v2": {},
    "v3": {
        "unbind-names-the-bound-spid": "S18: the SPID is cleared before UNBIND",
        "outcomes-as-scripted": "S18: KVM keeps its entry, so the next bind of the gPASID fails",
    },
    "v4": {
        "no-use-after-free": "a set that has become empty is destroyed, and used once more",
        "outcomes-as-scripted": "so the second alloc fails",
        "driver-done-before-reclaim": "S26: the work that drains a shared WQ has no reference",
    },
    "dcp": {
        "outcomes-as-scripted": "S25a: disabling a WQ fails, as its put was not the last",
        "exited-vms-leave-nothing": "S43: a closed device leaves its notifier",
    },
}
"""On normal_life.toml."""

FREED: Final[dict[str, dict[str, str]]] = {
    "v1": {
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
    },
    "v2": {},
    "v3": {
        "freed-pasids-are-reclaimed": "S17: FREE reaches nobody",
        "unbind-names-the-bound-spid": "S18",
    },
    "v4": {
        "atomic-code-never-sleeps": "S20: the drain is under a spinlock",
        "no-use-after-free": "a set that has become empty is destroyed, and used once more",
        "driver-done-before-reclaim": "S26: the work that drains a shared WQ has no reference",
        "descriptors-ended-before-reclaim": "S26: so the device may still run",
        "page-requests-settled-before-reclaim": "S26: and have asked for pages",
    },
    "dcp": {
        "atomic-code-never-sleeps": "S20",
        "driver-done-before-reclaim": "S25c: the work puts a reference of somebody else",
        "descriptors-ended-before-reclaim": "S25c, S25f",
        "page-requests-settled-before-reclaim": "S25c, S25f",
    },
}
"""On free_before_unbind.toml."""


def test_every_revision_of_the_first_series_is_here() -> None:
    assert set(REVISIONS) <= set(revisions())
    assert tuple(NORMAL) == tuple(FREED) == REVISIONS


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_normal_life_comes_to_its_end(revision: str) -> None:
    found = violated(played("normal_life", revision), seeds=20)
    assert sorted(found) == sorted(NORMAL[revision]), found


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_guest_frees_before_it_unbinds(revision: str) -> None:
    found = violated(played("free_before_unbind", revision), seeds=40)
    assert sorted(found) == sorted(FREED[revision]), found


@pytest.mark.parametrize("name", ["normal_life", "free_before_unbind"])
def test_the_sound_protocol_violates_nothing(name: str) -> None:
    assert violated(played(name, "sound"), seeds=20) == {}
