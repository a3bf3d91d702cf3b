"""Properties of SVA bonds, and of what an iommufd context has attached."""

import pytest

from protocol.domains import Group
from protocol.facts import Event
from protocol.facts.iommu_core import SlotAttached, SlotReleased
from protocol.facts.iommufd import (
    DeviceUnbound,
    ObjectBusy,
    ObjectRemoved,
    ObjectUsed,
    PtAttached,
    PtDetached,
    PtReplaced,
)
from protocol.facts.sva import (
    BondFreed,
    BondMade,
    BondUsed,
    HandleAllocated,
    MmHeld,
    MmLetGo,
    SvaBindAnswered,
    SvaDomainLinked,
    SvaDomainUnlinked,
    SvaDomainUsed,
    SvaPasidDropped,
    SvaPasidGiven,
    SvaPresent,
    SvaUnbound,
)
from protocol.machine import Device, Machine
from tests.protocol.stories import Story

MACHINE = Machine(
    units=(),
    devices=(Device("d1", "u", pasids=4), Device("d2", "u", pasids=4), Device("e", "u", pasids=4)),
    vms=(),
    groups=(Group("g", ("d1", "d2")),),
)
X = "SVA@u.m.1"
MADE = BondMade("h", "g", "d1", "m", X, 1, 1)
LINKED = (SvaDomainLinked(X, "m"), SvaDomainUsed(X, 1), SvaPresent(on=True))
BOUND = (*LINKED, MADE, SvaBindAnswered("d1", "m", "h", ""))
FREED = (
    BondUsed("h", 0),
    SvaDomainUsed(X, 0),
    SvaDomainUnlinked(X, "m"),
    SvaPresent(on=False),
    BondFreed("h"),
    SvaUnbound("h"),
)
SHARED = (BondUsed("h", 2), SvaBindAnswered("d2", "m", "h", ""))
LESS = (BondUsed("h", 1), SvaUnbound("h"))
REFUSED = SvaBindAnswered("d1", "m", "", "EBUSY")


def told(name: str, *facts: Event, actor: str = "sva") -> list[str]:
    """What the property says to the facts that it observes, one input each."""
    story = Story(name, MACHINE)
    for fact in facts:
        if type(fact) in story.property.observes:
            story.then(actor, fact)
    assert story.owed() == []
    return story.said


@pytest.mark.parametrize(
    "rule",
    [
        "one-bond-for-a-pair",
        "bonds-add-up",
        "binds-return-their-own-bond",
        "failed-binds-leave-nothing",
    ],
)
def test_a_bond_that_is_shared_and_ended_twice_is_fine(rule: str) -> None:
    before = (HandleAllocated("h"), MmHeld("m", X))
    life = (*before, *BOUND, *SHARED, *LESS, *FREED, MmLetGo("m", X), REFUSED)
    assert told(rule, *life, SvaPasidDropped("m", 1, 1), SvaPasidGiven("m", 1, 2), *life) == []


def test_err_a_pair_has_two_bonds_or_none_for_a_bind() -> None:
    rule = "one-bond-for-a-pair"
    (said,) = told(rule, *BOUND, BondMade("k", "g", "d2", "m", X, 1, 1))
    assert said.startswith("k is a second bond of g and m")
    (said,) = told(rule, *BOUND, REFUSED)
    assert said.startswith("a bind of d1 and m was answered EBUSY at ")
    assert told(rule, *BOUND, SvaBindAnswered("d2", "m", "", "EOVERFLOW")) == []
    assert told(rule, *BOUND, BondFreed("h"), REFUSED) == []


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ((*BOUND, SHARED[1]), "h has 1 users at input 6 of sva, and 2 binds"),
        ((*BOUND, BondUsed("h", 0), SvaUnbound("h"), SvaUnbound("h")), "and -1 binds"),
        ((*LINKED, SvaDomainUsed(X, 2), MADE), f"{X} has 2 users"),
        ((SvaDomainUsed(X, 1), MADE), "has 1 bonds at input 2 of sva, and is not listed"),
        ((*BOUND, *FREED[:2], BondFreed("h")), "has 0 bonds at input 8 of sva, and is listed"),
        ((*LINKED[:2], SvaPresent(on=False), MADE), "the flag says otherwise"),
        ((*BOUND, SvaPasidDropped("m", 1, 1), *FREED[:3]), "which had gone"),
    ],
)
def test_err_the_books_of_bonds_do_not_add_up(facts: tuple[Event, ...], words: str) -> None:
    (said,) = told("bonds-add-up", *facts)
    assert words in said


def test_what_is_no_bond_is_not_in_the_books() -> None:
    assert told("bonds-add-up", SvaBindAnswered("d1", "m", "h", ""), BondFreed("h")) == []


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ((), "which is no bond"),
        ((BondMade("h", "g", "d1", "n", X, 1, 1),), f"which is the bond of n with {X}"),
        ((BondMade("h", "g", "d1", "m", "paging", 1, 1),), "which is the bond of m with paging"),
        ((MADE, BondFreed("h")), "which is no bond"),
    ],
)
def test_err_a_bind_returns_what_is_not_its_own(before: tuple[Event, ...], words: str) -> None:
    (said,) = told("binds-return-their-own-bond", *before, SvaBindAnswered("d1", "m", "h", ""))
    assert said.endswith(words)


def test_err_a_failed_bind_leaves_something() -> None:
    rule = "failed-binds-leave-nothing"
    (said,) = told(rule, HandleAllocated("h"), MmHeld("m", X), REFUSED, REFUSED)
    assert said.endswith(f"(EBUSY), and the handle h and the domain {X} has been left")
    gone = (HandleAllocated("h"), MmHeld("m", X), MmLetGo("m", X), BondFreed("h"), REFUSED)
    assert told(rule, *gone) == []


# --- iommufd --------------------------------------------------------------------------------------


def attach(
    device: str = "d1", pasid: int = 5, hwpt: int = 3, *, compatible: bool = True
) -> PtAttached:
    return PtAttached(device, "g", pasid, hwpt, f"pt{hwpt}", compatible=compatible)


def detach(device: str = "d1", *, last: bool = True) -> PtDetached:
    return PtDetached(device, "g", 5, 3, last=last)


def replaced(hwpt: int = 4, *, compatible: bool = True) -> PtReplaced:
    return PtReplaced("g", 5, hwpt, 3, f"pt{hwpt}", compatible=compatible)


def used(hwpt: int, users: int, why: str = "attach", base: int = 1) -> ObjectUsed:
    return ObjectUsed(hwpt, "paging", f"pt{hwpt}", users, base, why)


def device(users: int, why: str = "attach", name: str = "d1") -> ObjectUsed:
    return ObjectUsed(1, "device", name, users, 2, why)


IN_CORE = SlotAttached("g", 5, 0, "pt3", "h", "")
NOW = SlotAttached("g", 5, 0, "pt4", "k", "pt3")
TWO = (IN_CORE, attach(), device(3), used(3, 2), attach("d2"), device(3, name="d2"), used(3, 3))


@pytest.mark.parametrize(
    "facts",
    [
        (*TWO, detach(last=False), used(3, 2, "put"), device(2, "put")),
        (*TWO, NOW, replaced(), used(4, 3, "replace"), used(3, 1, "put")),
        (IN_CORE, attach(), used(3, 9, base=0), detach(), SlotReleased("g", 5, 0, "detach")),
        (SlotAttached("d1", 5, 0, "pt3", "h", ""), attach()),
    ],
)
def test_attachments_that_are_counted(facts: tuple[Event, ...]) -> None:
    assert told("attachments-are-counted", *facts, ObjectRemoved(3, "paging", 1)) == []


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ((*TWO[:3], used(3, 1)), "has 1 users at input 4 of sva: 1 besides, and 1 attachments"),
        ((*TWO, detach(last=False), used(3, 3, "put")), "has 3 users"),
        ((*TWO, NOW, replaced(), used(4, 2, "replace")), "paging 4 (pt4) has 2 users"),
        ((*TWO[:2], device(2)), "device 1 (d1) has 2 users"),
        ((*TWO[:2], used(3, 1, base=0)), "itself, and 1 attachments"),
        ((attach(),), "and the core has nothing there"),
        ((*TWO, replaced()), "PASID 5 of g has pt4 at input 8 of sva, and the core has pt3 there"),
        ((detach(),), "d1 let go of PASID 5 of g at input 1 of sva, which it had not"),
        ((replaced(),), "and the core has nothing there"),
    ],
)
def test_err_an_attachment_is_not_counted(facts: tuple[Event, ...], words: str) -> None:
    (said,) = told("attachments-are-counted", *facts)
    assert words in said


def test_page_tables_beside_pasids_are_made_for_them() -> None:
    rule = "page-tables-made-for-pasids"
    rid = attach(pasid=0, compatible=False)
    assert told(rule, rid, attach(pasid=0, hwpt=4)) == []
    assert told(rule, attach(), detach(last=False), replaced(), detach(), rid) == []
    (said,) = told(rule, rid, attach())
    assert said.endswith("and the RID has a page table that is not made for them")
    (said,) = told(rule, attach(), replaced(compatible=False))
    assert "and PASID 5 has" in said


def test_an_object_goes_when_nobody_uses_it() -> None:
    rule = "destroyed-when-unused"
    gone = ObjectRemoved(3, "paging", 1)
    assert (
        told(rule, attach(), ObjectBusy(3, "paging", 2), detach(last=False), detach(), gone) == []
    )
    assert told(rule, attach(), replaced(), gone) == []
    (said,) = told(rule, attach(), gone)
    assert said.endswith("and g has it for PASID 5")
    (said,) = told(rule, ObjectRemoved(3, "paging", 2))
    assert said.endswith("with 2 users")
    (said,) = told(rule, ObjectBusy(3, "paging", 1))
    assert said.endswith("though nobody uses it")


def test_a_device_is_unbound_with_nothing_attached() -> None:
    rule = "devices-unbound-when-detached"
    assert told(rule, DeviceUnbound("d1", "g", ())) == []
    (said,) = told(rule, DeviceUnbound("d1", "g", (0, 5)))
    assert said.endswith("with its RID, PASID 5 attached")
