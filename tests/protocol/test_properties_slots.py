"""Properties of the IOMMU core's slots, numbers, owners and resets."""

import pytest

from protocol.domains import Group
from protocol.facts import EntryWritten, Event
from protocol.facts.intel_iommu import DevPasidSet
from protocol.facts.iommu_core import (
    DetachAsked,
    DeviceBlocked,
    DeviceUnblocked,
    DevPasidAnswered,
    DevPasidCalled,
    DmaOwnerChanged,
    GlobalPasidAllocated,
    GlobalPasidFreed,
    GroupDomainSet,
    GroupLeft,
    HandleSeen,
    ResetAsked,
    SlotAttached,
    SlotKept,
    SlotReleased,
    SlotReserved,
)
from protocol.facts.sva import SvaPasidDropped, SvaPasidGiven
from protocol.machine import Device, Machine
from tests.protocol.stories import Story

MACHINE = Machine(
    units=(),
    devices=(Device("d1", "u", pasids=4), Device("d2", "u", pasids=4), Device("e", "u", pasids=4)),
    vms=(),
    groups=(Group("g", ("d1", "d2")),),
)
P = 3


def called(device: str, domain: str, old: str = "") -> DevPasidCalled:
    return DevPasidCalled(device, P, 1, domain, old)


def did(device: str, domain: str, errno: str = "") -> DevPasidAnswered:
    return DevPasidAnswered(device, P, 1, domain, errno)


def both(device: str, domain: str, old: str = "", errno: str = "") -> tuple[Event, Event]:
    return called(device, domain, old), did(device, domain, errno)


def attached(domain: str = "p", handle: str = "h", group: str = "g", old: str = "") -> SlotAttached:
    return SlotAttached(group, P, 1, domain, handle, old)


RESERVED = SlotReserved("g", P, 1)
FAILED = SlotReleased("g", P, 1, "failed")
DETACHED = SlotReleased("g", P, 1, "detach")


def told(name: str, *facts: Event) -> list[str]:
    """What the property says to the core's facts, one input each; others are not handed in."""
    story = Story(name, MACHINE)
    for fact in facts:
        if type(fact) in story.property.observes:
            story.then("iommu_core", fact)
    assert story.owed() == []
    return story.said


# --- I05 ------------------------------------------------------------------------------------------

WRITTEN = EntryWritten("u", "e", P, 1, "v", 1, was_present=False)


@pytest.mark.parametrize(
    ("domain", "facts", "said"),
    [
        ("p", (WRITTEN,), []),
        ("p", (), ["no entry"]),
        ("blocked", (), []),
        ("blocked", (WRITTEN,), ["an entry"]),
    ],
)
def test_a_blocking_domain_is_no_entry(domain: str, facts: tuple[Event], said: list[str]) -> None:
    done = DevPasidSet("e", P, 1, domain, "", faults=False, present=bool(facts))
    found = told("attached-domains-are-in-hardware", *facts, done, attached(domain, group="e"))
    assert [one.rpartition(" has ")[2] for one in found] == said


# --- I06, I07 -------------------------------------------------------------------------------------

UNDONE = (*both("d1", "p"), *both("d2", "p", errno="ENOMEM"), *both("d1", "blocked", "p"))
ATTACH = (*both("d1", "p"), *both("d2", "p"), attached())
TURNED_BACK = (
    *both("d1", "q", "p"),
    *both("d2", "q", "p", "ENOMEM"),
    *both("d1", "p", "q"),
)


@pytest.mark.parametrize("rule", ["failed-attach-changes-nothing", "failed-replace-keeps-the-old"])
def test_what_is_undone_where_it_was_done_is_fine(rule: str) -> None:
    assert told(rule, *UNDONE, FAILED, *ATTACH, *TURNED_BACK, SlotKept("g", P, 1, "p", "h")) == []


def test_err_a_device_that_never_had_it_is_told_to_undo() -> None:
    refused = both("d2", "p", errno="ENOMEM")
    (said,) = told("failed-attach-changes-nothing", *refused, *both("d1", "blocked", "p"))
    assert said.startswith("after d2 refused, d1 is told to put blocked in place of p for PASID 3")


def test_err_a_failed_attach_leaves_a_device_with_it() -> None:
    (said,) = told("failed-attach-changes-nothing", *UNDONE[:4], FAILED)
    assert said.endswith("and d1 has p and had nothing")


def test_what_a_reset_asks_is_no_attach() -> None:
    reset = (*both("d1", "p", "blocked", "ENOMEM"), DeviceUnblocked("d1"))
    for rule in ("failed-attach-changes-nothing", "failed-replace-keeps-the-old"):
        assert told(rule, *reset, *ATTACH, DETACHED) == []


def test_err_a_failed_replace_leaves_a_device_without_the_old() -> None:
    back = (*TURNED_BACK[:4], *both("d1", "blocked", "q"))
    rule = "failed-replace-keeps-the-old"
    (said,) = told(rule, *ATTACH, *back, SlotKept("g", P, 1, "p", "h"))
    assert said.endswith("and d1 has nothing and had p")


def test_a_device_that_will_not_go_back_is_the_drivers_affair() -> None:
    stuck = (*both("d1", "p", "q", "EIO"), *both("d1", "blocked", "q"))
    rule = "failed-replace-keeps-the-old"
    assert told(rule, *ATTACH, *TURNED_BACK[:4], *stuck, SlotKept("g", P, 1, "p", "h")) == []


def test_err_a_failed_replace_leaves_another_handle() -> None:
    rule = "failed-replace-keeps-the-old"
    (said,) = told(rule, *ATTACH, *TURNED_BACK, SlotKept("g", P, 1, "p", "k"))
    assert said.endswith("its slot has p (k) and had p (h)")
    assert told(rule, *ATTACH, DETACHED, SlotKept("g", P, 1, "p", "k")) == []


# --- I08, I09 -------------------------------------------------------------------------------------


def test_a_handle_that_is_attached_may_be_seen() -> None:
    rule = "handles-seen-when-attached"
    assert told(rule, attached(), HandleSeen("g", P, "h"), HandleSeen("d1", P, "h")) == []


@pytest.mark.parametrize("before", [(), (attached(), DETACHED), (attached(handle="k"),)])
def test_err_a_handle_is_seen_that_is_not_attached(before: tuple[Event, ...]) -> None:
    (said,) = told("handles-seen-when-attached", *before, HandleSeen("g", P, "h"))
    assert said.startswith("a look-up found h for PASID 3 in g at ")


def test_a_handle_that_is_free_again_is_fresh() -> None:
    rule = "attaches-have-a-fresh-handle"
    other = attached(handle="h", group="e")
    assert told(rule, attached(), attached(handle="k", old="p"), other, DETACHED) == []
    assert told(rule, attached(), DETACHED, other, attached(handle=""), DETACHED) == []


@pytest.mark.parametrize("then", [attached("q", old="p"), attached(group="e")])
def test_err_a_handle_is_in_a_slot_already(then: SlotAttached) -> None:
    (said,) = told("attaches-have-a-fresh-handle", attached(), then)
    assert said.endswith("the handle of PASID 3 in g")


# --- I01, I02 -------------------------------------------------------------------------------------

OUT = GlobalPasidAllocated("d1", P, 1)
GIVEN = SvaPasidGiven("m", P, 1)
LIFE = (OUT, GIVEN, SvaPasidDropped("m", P, 1), GlobalPasidFreed(P, 1))


def test_a_number_that_lives_twice_is_fine() -> None:
    rule = "global-pasids-have-one-owner"
    again = GlobalPasidAllocated("d1", P, 2)
    assert told(rule, *LIFE, again, SvaPasidGiven("n", P, 2)) == []


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ((OUT, GlobalPasidAllocated("d1", P, 2)), "and life 1 is out"),
        ((OUT, GIVEN, GlobalPasidFreed(P, 1)), "and m has it"),
        ((OUT, GIVEN, GlobalPasidAllocated("d1", 2, 2), SvaPasidGiven("m", 2, 2)), "and has PASID"),
        ((OUT, GIVEN, SvaPasidGiven("n", P, 1)), "and m has the number"),
        ((SvaPasidGiven("n", P, 1),), "and that is not out"),
    ],
)
def test_err_a_number_has_two_owners_or_none(facts: tuple[Event, ...], words: str) -> None:
    (said,) = told("global-pasids-have-one-owner", *facts)
    assert words in said


def test_err_a_number_that_the_device_cannot_carry() -> None:
    rule = "global-pasids-within-the-device"
    assert told(rule, OUT) == []
    for pasid, device in ((0, "d1"), (4, "d1"), (1, "nobody")):
        (said,) = told(rule, GlobalPasidAllocated(device, pasid, 1))
        assert said.startswith(f"PASID {pasid} was handed out for {device}")


# --- I37, I38 -------------------------------------------------------------------------------------

OWNED = DmaOwnerChanged("g", "vfio", 1)
TWICE = DmaOwnerChanged("g", "vfio", 2)
FREE = DmaOwnerChanged("g", "", 0)


def test_an_owner_may_attach_and_claim_again() -> None:
    rule = "owners-change-when-nothing-is-attached"
    other = SlotAttached("e", P, 1, "p", "h", "")
    assert told(rule, other, OWNED, attached(), TWICE, OWNED, DETACHED, FREE) == []


def test_err_an_owner_comes_or_goes_with_something_attached() -> None:
    rule = "owners-change-when-nothing-is-attached"
    (said,) = told(rule, RESERVED, OWNED)
    assert said.startswith("g was claimed by vfio at ")
    assert said.endswith("with PASID 3 attached")
    (said,) = told(rule, OWNED, SlotAttached("g", 0, 1, "p", "h", ""), FREE)
    assert said.startswith("g was released at ")
    assert said.endswith("with its RID attached")


BEGUN = ResetAsked("d1", done=False)
ENDED = ResetAsked("d1", done=True)
IN = (attached(), BEGUN, called("d1", "blocked", "p"), DeviceBlocked("d1"))
RID = SlotAttached("g", 0, 1, "p", "h", "")


@pytest.mark.parametrize(
    "facts",
    [
        (*IN, ENDED, called("d1", "p", "blocked"), DeviceUnblocked("d1"), called("d1", "q", "p")),
        (*IN, BEGUN, ENDED, ENDED, DeviceUnblocked("d1"), ENDED),
        (*IN, DetachAsked("g", P, "p"), called("d2", "blocked", "p"), DETACHED, ENDED),
        (*IN, GroupLeft("d1", "g"), called("d1", "q"), attached("q")),
        (*IN, called("d2", "q", "p"), SlotAttached("e", P, 1, "p", "h", "")),
        (RID, *IN, DetachAsked("g", 0, "p"), GroupDomainSet("g", "blocked"), ENDED,
         DeviceUnblocked("d1")),
    ],
)  # fmt: skip
def test_a_reset_that_keeps_to_its_device_is_fine(facts: tuple[Event, ...]) -> None:
    assert told("reset-devices-stay-blocked", *facts) == []


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ((*IN, attached("q")), "PASID 3 of g was attached"),
        ((*IN, RID), "the RID of g was attached"),
        ((*IN, called("d1", "q")), "d1 is given q for PASID 3"),
        ((BEGUN, called("d1", "q")), "d1 is given q for PASID 3"),
        ((*IN, called("d1", "blocked", "p")), "is asked to let go of PASID 3"),
        ((*IN, DeviceUnblocked("d1")), "1 of its resets have not ended"),
        ((*IN, DetachAsked("g", P, "p"), ENDED, called("d1", "p")), "and nothing is attached"),
        ((*IN, ENDED, called("d1", "q")), "and p is attached"),
        ((RID, *IN, DetachAsked("g", 0, "p"), ENDED, DeviceUnblocked("d1")), "long detached"),
    ],
)
def test_err_a_device_in_reset_is_not_left_alone(facts: tuple[Event, ...], words: str) -> None:
    (said,) = told("reset-devices-stay-blocked", *facts)
    assert words in said
