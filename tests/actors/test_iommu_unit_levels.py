"""A unit whose driver says which levels an entry has: the two IOTLB flushes, and FPD alone (§8)."""

from typing import Final

import pytest

from actors.iommu_unit import Inbox, IommuUnit
from protocol.effects import Out, Send
from protocol.errors import Errno
from protocol.facts import CacheFlushed, Fact
from protocol.facts.intel_iommu import EntrySilenced, EntryZeroed
from protocol.machine import Device, Machine, Unit
from protocol.messages import (
    AnyMessage,
    ClearPresent,
    Done,
    InvalidatePasidCache,
    Refused,
    Translate,
    Translated,
    Translation,
    ZeroEntry,
)
from protocol.messages.pasid_table import (
    InvalidateDomainIotlb,
    InvalidatePiotlb,
    SetUpEntry,
    ZeroAllButFpd,
)
from protocol.names import IOMMU, Name
from tests.helpers import step

P: Final = 5
LIFE: Final = 50
DID: Final = 3


def unit() -> IommuUnit:
    """With two devices behind it."""
    devices = (Device("d1", "dmar0"), Device("d2", "dmar0"))
    return IommuUnit.of(Machine((Unit("dmar0"),), devices, ()), "dmar0")


def give(hardware: IommuUnit, message: Inbox, sender: Name = IOMMU) -> Out:
    """One input."""
    return step(hardware, message, sender)


def answers(out: Out) -> list[AnyMessage]:
    """What the unit says."""
    return [effect.message for effect in out.effects if isinstance(effect, Send)]


def with_lines(levels: str) -> IommuUnit:
    """Pages 1 and 2 of both devices are in the IOTLB, through entries of one domain."""
    hardware = unit()
    for device in ("d1", "d2"):
        give(hardware, SetUpEntry(1, device, P, LIFE, "proc1", DID, levels))
        for page in (1, 2):
            give(hardware, Translate(1, P, LIFE, page, mapped=True), device)
    return hardware


def flushed(out: Out) -> list[Fact]:
    return [fact for fact in out.facts if isinstance(fact, CacheFlushed)]


BOTH: Final = [CacheFlushed("iotlb", "d2", P, LIFE), CacheFlushed("iotlb", "d1", P, LIFE)]
BY_PASID: Final = InvalidatePiotlb(1, "d1", P, LIFE, DID, 0)
BY_DOMAIN: Final = InvalidateDomainIotlb(1, "d1", P, LIFE, DID)


@pytest.mark.parametrize(
    ("levels", "flush"),
    [("first", BY_PASID), ("second", BY_DOMAIN), ("nested", BY_DOMAIN)],
)
def test_the_right_flush_takes_the_lines_of_every_device(levels: str, flush: Inbox) -> None:
    hardware = with_lines(levels)
    out = give(hardware, flush)
    assert flushed(out) == BOTH
    assert hardware.iotlb == {}
    assert answers(out) == [Done(1)]


@pytest.mark.parametrize(("levels", "flush"), [("first", BY_DOMAIN), ("second", BY_PASID)])
def test_the_other_flush_takes_nothing(levels: str, flush: Inbox) -> None:
    hardware = with_lines(levels)
    assert flushed(give(hardware, flush)) == []
    assert list(hardware.iotlb) == [("d1", P), ("d2", P)]


def test_of_a_nested_entry_the_flush_of_first_levels_leaves_the_second() -> None:
    hardware = with_lines("nested")
    assert flushed(give(hardware, BY_PASID)) == []
    give(hardware, ClearPresent(1, "d1", P, LIFE, "proc1", "unbind"))
    give(hardware, InvalidatePasidCache(1, "d1", P, LIFE, DID))
    out = give(hardware, Translate(1, P, LIFE, 1, mapped=True), "d1")
    answer = answers(out)[0]
    assert isinstance(answer, Translated)
    assert answer.outcome is Translation.NONE
    assert flushed(give(hardware, BY_DOMAIN)) == BOTH


@pytest.mark.parametrize(
    "flush",
    [
        InvalidatePiotlb(1, "d1", P, LIFE, DID + 1, 0),
        InvalidatePiotlb(1, "d1", P + 1, LIFE, DID, 0),
    ],
)
def test_lines_of_others_stay(flush: InvalidatePiotlb) -> None:
    hardware = with_lines("first")
    give(hardware, flush)
    assert len(hardware.iotlb["d1", P]) == 2


def test_one_page_leaves_the_others() -> None:
    hardware = with_lines("first")
    assert flushed(give(hardware, InvalidatePiotlb(1, "d1", P, LIFE, DID, 2))) == []
    assert [list(lines) for lines in hardware.iotlb.values()] == [[1], [1]]


def test_err_a_present_entry_is_not_set_up_again() -> None:
    hardware = with_lines("first")
    out = give(hardware, SetUpEntry(7, "d1", P, LIFE, "proc2", DID, "first"))
    assert answers(out) == [Refused(7, Errno.EBUSY)]


def test_fpd_alone_stays_until_the_entry_is_zeroed_or_set_up() -> None:
    hardware = with_lines("first")
    give(hardware, ClearPresent(1, "d1", P, LIFE, "proc1", "release", fpd=True))
    out = give(hardware, ZeroAllButFpd(1, "d1", P, LIFE))
    assert EntrySilenced("dmar0", "d1", P, LIFE) in out.facts
    entry = hardware.entries["d1", P]
    assert (entry.present, entry.fpd, entry.vm) == (False, True, "")
    out = give(hardware, ZeroEntry(1, "d1", P, LIFE))
    assert EntryZeroed("dmar0", "d1", P, LIFE) in out.facts
    assert ("d1", P) not in hardware.entries


def test_a_present_entry_that_is_zeroed_translates_through_nobodys_tables() -> None:
    hardware = with_lines("first")
    give(hardware, InvalidatePasidCache(1, "d1", P, LIFE, DID))
    give(hardware, ZeroAllButFpd(1, "d1", P, LIFE))
    out = give(hardware, Translate(1, P, LIFE, 9, mapped=True), "d1")
    answer = answers(out)[0]
    assert isinstance(answer, Translated)
    assert (answer.outcome, answer.vm) == (Translation.OK, "")
