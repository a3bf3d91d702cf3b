"""The sweep is only as good as its scripts: between them they have a place of every kind to die at.

The kinds are those of the agents' crash points: what an actor has just done, or still has to do,
when it dies after one of its inputs.
"""

from collections import defaultdict
from collections.abc import Iterator

import pytest

from clusters.cluster import names
from protocol.facts import (
    DeviceBound,
    DeviceTornDown,
    Event,
    LockReleased,
    LockTaken,
    MessageSent,
    NotificationHandled,
    SlotCleared,
    SlotProgrammed,
    TranslationCleared,
    TranslationWritten,
    WorkBegun,
    WorkEnded,
)
from protocol.names import Name
from tests.sweep.schedules import Base, base_of
from tests.sweep.scripts import SCRIPTS

ASKED = "a reference is asked for, no context yet"
WRITTEN = "the context is written, the reply on its way"
CLEARED = "the context is cleared, its put not heard of yet"
PUT = "the put is on its way"
TOLD = "told, and its work not queued yet"
WORKING = "in the middle of its work"
LOCKED = "with a lock held"

WANTED = [
    *[("iommu", kind) for kind in (ASKED, WRITTEN, CLEARED, PUT, TOLD, WORKING, LOCKED)],
    *[("kvm", kind) for kind in (ASKED, WRITTEN, CLEARED, PUT)],
    *[("vdcm", kind) for kind in (ASKED, WRITTEN, CLEARED, PUT, TOLD, WORKING)],
    *[("vfio", kind) for kind in (ASKED, PUT, LOCKED)],
]


def inputs_of(base: Base, actor: Name) -> Iterator[list[Event]]:
    """What each of the actor's inputs did, in order."""
    inputs: dict[int, list[Event]] = defaultdict(list)
    for who, n, fact in base.told:
        if who == actor:
            inputs[n].append(fact)
    return iter(inputs.values())


def kinds_of(base: Base, actor: Name) -> set[str]:
    """The kinds of places that the actor passes."""
    found: set[str] = set()
    locks, works = 0, 0
    for facts in inputs_of(base, actor):
        for fact in facts:
            match fact:
                case MessageSent(message="GetPasid" | "GetIfOwned" | "FindBySpid"):
                    found.add(ASKED)
                case TranslationWritten() | SlotProgrammed() | DeviceBound():
                    found.add(WRITTEN)
                case TranslationCleared() | SlotCleared() | DeviceTornDown():
                    found.add(CLEARED)
                case MessageSent(message="PutPasid"):
                    found.add(PUT)
                case NotificationHandled(notification="FREE"):
                    if any(isinstance(f, MessageSent) and f.message == "QueueWork" for f in facts):
                        found.add(TOLD)
                case LockTaken() | LockReleased():
                    locks += 1 if isinstance(fact, LockTaken) else -1
                case WorkBegun() | WorkEnded():
                    works += 1 if isinstance(fact, WorkBegun) else -1
                case _:
                    pass
        found |= {LOCKED} if locks else set()
        found |= {WORKING} if works else set()
    return found


@pytest.mark.parametrize(("role", "kind"), WANTED)
def test_the_sweep_meets_every_kind_of_place(role: str, kind: str) -> None:
    met = [
        (script, actor)
        for script in SCRIPTS
        for actor, its in names(base_of(script).setup.machine).items()
        if its == role and kind in kinds_of(base_of(script), actor)
    ]
    assert met
