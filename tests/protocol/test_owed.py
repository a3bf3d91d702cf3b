"""What is owed at the end of a history: its age, its owner, and who is excused for being frozen."""

import pytest

from protocol.facts import Event, FreeRequested, OpInvoked
from tests.protocol.stories import PASID, Story, taken

FREE: Event = FreeRequested(PASID, 1, 1, "vfio", effective=True, state="ACTIVE")


def test_err_the_age_of_what_is_owed_is_told_in_steps_or_in_inputs() -> None:
    for step, age in ((1, "for 2,031 steps, since step 1;"), (0, "for 1 input of core, since its")):
        story = Story("freed-pasids-are-reclaimed")
        story.then("core", taken(holder="vdcm.dsa0:wq"), FREE, step=step)
        story.then("core", taken(holder="iommu:svm"), step=step + 2031 if step else 0)
        (sentence,) = story.owed()
        assert f"PASID 5 (life 1) FREE_PENDING {age}" in sentence


def test_who_is_frozen_is_excused_and_excuses_nobody_else() -> None:
    story = Story("freed-pasids-are-reclaimed")
    story.then("core", taken(holder="vdcm.dsa0:vm1:wq"))
    story.then("core", FREE)
    assert len(story.owed()) == 1
    assert story.owed("vdcm.dsa0") == []
    story.then("core", taken(holder="iommu:svm"))
    (sentence,) = story.owed("vdcm.dsa0")
    assert sentence.endswith("held by vdcm.dsa0:vm1:wq (frozen), iommu:svm")


def test_without_an_age_it_is_the_same_sentence_for_as_long_as_it_is_owed() -> None:
    story = Story("freed-pasids-are-reclaimed")
    said = []
    for actor, fact in (("core", taken()), ("core", FREE), ("core", taken(holder="iommu:svm"))):
        story.then(actor, fact)
        said.append([one.plain() for one in story.property.unmet()])
    assert said == [[], *[["PASID 5 (life 1) FREE_PENDING; held by iommu:svm"]] * 2]


def test_what_the_lost_and_the_frozen_hold_is_excused() -> None:
    story = Story("freed-pasids-are-reclaimed")
    story.then("core", taken(holder="vdcm.dsa0:vm1:wq"), taken(holder="vdcm.dsa1:vm1:wq"))
    story.then("core", FREE)
    story.lose("vdcm.dsa1")
    assert len(story.owed()) == 1
    assert story.owed("vdcm.dsa0") == []


@pytest.mark.parametrize(
    ("operation", "through"),
    [
        ("free", ("vm1.guest", "vfio")),
        ("dma", ("vm1.guest", "vm1.kvm", "dsa0")),
        ("enable", ("vm1.guest", "vdcm.dsa0")),
    ],
)
def test_an_operation_that_goes_through_a_frozen_actor_is_excused(
    operation: str, through: tuple[str, ...]
) -> None:
    story = Story("operations-end")
    story.then("vm1.guest", OpInvoked(3, operation, PASID, 1, "dsa0"))
    assert len(story.owed("core", "iommu", "dmar0", "vm2.kvm")) == 1
    assert all(story.owed(one) == [] for one in through)
