"""The unit's table, caches and invalidation queue; the ring is in test_iommu_unit_prq.py."""

import msgspec
import pytest

from actors.iommu_unit import Inbox, IommuUnit
from protocol.effects import Out, Send
from protocol.errors import Errno
from protocol.facts import CacheFilled, CacheFlushed, EntryCleared, EntryWritten
from protocol.machine import Device as DeviceSpec
from protocol.machine import Machine, Unit
from protocol.messages import (
    ClearPresent,
    Done,
    DrainRequests,
    DrainRequestsGot,
    FlushDevTlb,
    HostLost,
    InvalidateDevTlb,
    InvalidateIotlb,
    InvalidatePasidCache,
    PageGroupResponse,
    Refused,
    ResponseCode,
    Start,
    Translate,
    Translated,
    Translation,
    UntranslatedDma,
    WriteEntry,
    ZeroEntry,
)
from protocol.names import IOMMU, Name
from tests.helpers import step

P = 101
MACHINE = Machine(
    units=(Unit("dmar0", prq=2), Unit("dmar1")),
    devices=(
        DeviceSpec("dsa0", "dmar0"),
        DeviceSpec("dsa1", "dmar0"),
        DeviceSpec("plain", "dmar0", ats=False, pri=False),
        DeviceSpec("far", "dmar1"),
    ),
    vms=(),
)

CLEAR = ClearPresent(2, "dsa0", P, 7, "vm1", "unbind", fpd=True)
FLUSH_PASID = InvalidatePasidCache(3, "dsa0", P, 7, did=5)
FLUSH_IOTLB = InvalidateIotlb(4, "dsa0", P, 7, did=5)
FLUSH_DEV = InvalidateDevTlb(5, "dsa0", P, 7)
ZERO = ZeroEntry(6, "dsa0", P, 7)
DRAIN = DrainRequests(8, "dsa0", P, 7)


def entry(incarnation: int = 7, vm: Name = "vm1", device: Name = "dsa0") -> WriteEntry:
    return WriteEntry(1, device, P, incarnation, vm, table=0x1000 * incarnation, did=5)


def look(page: int = 0, mapped: bool = True, incarnation: int = 7) -> Translate:
    return Translate(9, P, incarnation, page, mapped)


def unit_with(*messages: Inbox) -> IommuUnit:
    """A unit that the driver has said these things to."""
    unit = IommuUnit.of(MACHINE, "dmar0")
    for message in messages:
        step(unit, message, "dsa0" if isinstance(message, Translate) else IOMMU, name="dmar0")
    return unit


def ask(unit: IommuUnit, message: Inbox, sender: Name = IOMMU) -> Out:
    """One more input; the unit is the same after being stored and read back."""
    out = step(unit, message, sender, name="dmar0")
    stored = msgspec.msgpack.encode(unit)
    assert msgspec.msgpack.decode(stored, type=IommuUnit) == unit
    return out


def to_dsa0(unit: IommuUnit, request: Translate | UntranslatedDma) -> Translated:
    """What the device is told."""
    effect = ask(unit, request, "dsa0").effects[0]
    assert isinstance(effect, Send)
    assert isinstance(effect.message, Translated)
    return effect.message


def test_a_unit_knows_the_devices_behind_it_and_the_size_of_its_ring() -> None:
    unit = IommuUnit.of(MACHINE, "dmar0")
    assert unit.has_ats == {"dsa0": True, "dsa1": True, "plain": False}
    assert unit.ring_size == 2
    assert not IommuUnit.SITES
    assert not IommuUnit.LOSABLE


def test_start_says_nothing_to_hardware() -> None:
    out = ask(unit_with(), Start(), "supervisor")
    assert out.effects == []
    assert out.facts == []


# --- Entries --------------------------------------------------------------------------------------


def test_an_entry_is_written_once_with_all_that_it_says() -> None:
    out = ask(unit_with(), entry())
    assert out.effects == [Send(IOMMU, Done(1))]
    assert out.facts == [
        EntryWritten("dmar0", "dsa0", P, 7, "vm1", 0x7000, was_present=False),
    ]


def test_err_a_present_entry_is_not_written_again() -> None:
    unit = unit_with(entry())
    out = ask(unit, entry(8, "vm2"))
    assert out.effects == [Send(IOMMU, Refused(1, Errno.EBUSY))]
    assert out.facts == []
    assert to_dsa0(unit, look()).vm == "vm1"


def test_a_cleared_entry_may_be_written_before_it_is_zeroed() -> None:
    out = ask(unit_with(entry(), CLEAR), entry(8, "vm2"))
    assert out.facts == [EntryWritten("dmar0", "dsa0", P, 8, "vm2", 0x8000, was_present=False)]


def test_clearing_takes_only_the_present_bit_and_says_whose_the_entry_was() -> None:
    unit = unit_with(entry())
    clear = ClearPresent(2, "dsa0", P, 8, "vm2", "free", fpd=True)
    out = ask(unit, clear)
    assert out.effects == [Send(IOMMU, Done(2))]
    assert out.facts == [EntryCleared("dmar0", "dsa0", P, 7, "vm1", by="vm2", why="free")]
    left = unit.entries["dsa0", P]
    assert (left.present, left.fpd, left.table) == (False, True, 0x7000)


@pytest.mark.parametrize("before", [(), (entry(), CLEAR)])
def test_err_what_is_not_present_cannot_be_cleared(before: tuple[Inbox, ...]) -> None:
    out = ask(unit_with(*before), CLEAR)
    assert out.effects == [Send(IOMMU, Refused(2, Errno.ENOENT))]
    assert out.facts == []


def test_zeroing_leaves_nothing_of_a_cleared_entry() -> None:
    unit = unit_with(entry(), CLEAR)
    assert ask(unit, ZERO).effects == [Send(IOMMU, Done(6))]
    assert unit == unit_with()
    assert ask(unit, ZERO).effects == [Send(IOMMU, Done(6))]


def test_err_zeroing_a_present_entry_lets_it_translate_through_nobodys_tables() -> None:
    """S46: this is what clearing P first prevents."""
    assert to_dsa0(unit_with(entry(), ZERO), look()) == Translated(9, Translation.OK, 7, "", 0)


# --- Translation ----------------------------------------------------------------------------------


def test_a_translation_fills_both_caches_and_says_whose_life_it_is() -> None:
    unit = unit_with(entry())
    out = ask(unit, look(), "dsa0")
    assert out.effects == [Send("dsa0", Translated(9, Translation.OK, 7, "vm1", 0x7000))]
    assert out.facts == [
        CacheFilled("pasid-cache", "dsa0", P, 7),
        CacheFilled("iotlb", "dsa0", P, 7),
    ]
    assert ask(unit, look(page=1), "dsa0").facts == []


def test_a_page_that_the_guest_has_not_mapped_has_no_permission_but_its_entry_is_cached() -> None:
    unit = unit_with(entry())
    out = ask(unit, look(mapped=False), "dsa0")
    assert out.effects == [Send("dsa0", Translated(9, Translation.NONE, 0, "", 0))]
    assert out.facts == [CacheFilled("pasid-cache", "dsa0", P, 7)]


@pytest.mark.parametrize("before", [(), (entry(), CLEAR), (entry(device="dsa1"),)])
def test_an_entry_that_is_not_present_has_no_permission_and_is_not_cached(
    before: tuple[Inbox, ...],
) -> None:
    out = ask(unit_with(*before), look(), "dsa0")
    assert out.effects == [Send("dsa0", Translated(9, Translation.NONE, 0, "", 0))]
    assert out.facts == []


def test_an_untranslated_access_goes_through_or_is_blocked() -> None:
    unit = unit_with(entry())
    assert to_dsa0(unit, UntranslatedDma(9, P, 7, 1, mapped=False)).outcome is Translation.UR
    assert to_dsa0(unit, UntranslatedDma(9, P, 7, 0, mapped=True)).outcome is Translation.OK
    assert to_dsa0(unit_with(), UntranslatedDma(9, P, 7, 0, mapped=True)).outcome is Translation.UR


def test_a_stale_iotlb_line_translates_through_the_old_life() -> None:
    unit = unit_with(entry(), look(), CLEAR, FLUSH_PASID, ZERO, entry(8, "vm2"))
    assert to_dsa0(unit, look(mapped=False, incarnation=8)).vm == "vm1"
    assert to_dsa0(unit, look(page=1, incarnation=8)).vm == "vm2"


def test_a_stale_pasid_cache_line_translates_even_new_pages_through_the_old_life() -> None:
    unit = unit_with(entry(), look(), CLEAR, FLUSH_IOTLB, ZERO, entry(8, "vm2"))
    assert to_dsa0(unit, look(page=1, incarnation=8)).vm == "vm1"


def test_after_both_invalidations_only_the_table_counts() -> None:
    unit = unit_with(entry(), look(), CLEAR, FLUSH_PASID, FLUSH_IOTLB, ZERO)
    assert to_dsa0(unit, look()).outcome is Translation.NONE
    ask(unit, entry(8, "vm2"))
    out = ask(unit, look(incarnation=8), "dsa0")
    assert out.effects == [Send("dsa0", Translated(9, Translation.OK, 8, "vm2", 0x8000))]
    assert [fact for fact in out.facts if isinstance(fact, CacheFilled)] == [
        CacheFilled("pasid-cache", "dsa0", P, 8),
        CacheFilled("iotlb", "dsa0", P, 8),
    ]


# --- Invalidation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("flush", "cache"), [(FLUSH_PASID, "pasid-cache"), (FLUSH_IOTLB, "iotlb")])
@pytest.mark.parametrize("before", [(), (entry(), look())])
def test_an_invalidation_of_the_units_own_caches_is_complete_at_once(
    flush: InvalidatePasidCache | InvalidateIotlb, cache: str, before: tuple[Inbox, ...]
) -> None:
    out = ask(unit_with(*before), flush)
    assert out.effects == [Send(IOMMU, Done(flush.call))]
    assert out.facts == [CacheFlushed(cache, "dsa0", P, 7)]


def test_a_device_tlb_invalidation_is_done_when_the_device_says_so() -> None:
    unit = unit_with()
    assert ask(unit, FLUSH_DEV).effects == [Send("dsa0", FlushDevTlb(1, P, 7))]
    out = ask(unit, Done(1), "dsa0")
    assert out.effects == [Send(IOMMU, Done(5))]
    assert out.facts == []
    assert unit == unit_with()


def test_what_is_queued_behind_a_device_waits_and_then_runs_in_order() -> None:
    unit = unit_with(FLUSH_DEV)
    other = InvalidateDevTlb(11, "dsa1", P, 7)
    for message in (FLUSH_PASID, other, FLUSH_IOTLB):
        out = ask(unit, message)
        assert out.effects == []
        assert out.facts == []

    out = ask(unit, Done(1), "dsa0")
    assert out.effects == [
        Send(IOMMU, Done(5)),
        Send(IOMMU, Done(3)),
        Send("dsa1", FlushDevTlb(1, P, 7)),
    ]
    assert out.facts == [CacheFlushed("pasid-cache", "dsa0", P, 7)]
    assert ask(unit, Done(1), "dsa1").effects == [Send(IOMMU, Done(11)), Send(IOMMU, Done(4))]


def test_a_device_without_ats_has_no_tlb_to_wait_for() -> None:
    unit = unit_with()
    out = ask(unit, InvalidateDevTlb(5, "plain", P, 7))
    assert out.effects == [Send(IOMMU, Done(5))]
    assert out.facts == []
    out = ask(unit, DrainRequests(8, "plain", P, 7))
    assert out.effects == [Send(IOMMU, DrainRequestsGot(8, overflow=False))]


def test_a_drain_flushes_iotlb_and_device_tlb_and_waits_for_the_device() -> None:
    unit = unit_with(entry(), look())
    out = ask(unit, DRAIN)
    assert out.effects == [Send("dsa0", FlushDevTlb(1, P, 7))]
    assert out.facts == [CacheFlushed("iotlb", "dsa0", P, 7)]
    assert unit.iotlb == {}
    out = ask(unit, Done(1), "dsa0")
    assert out.effects == [Send(IOMMU, DrainRequestsGot(8, overflow=False))]


def test_err_an_invalidation_of_a_lost_device_times_out_and_the_queue_goes_on() -> None:
    unit = unit_with(FLUSH_DEV, FLUSH_IOTLB)
    out = ask(unit, HostLost("dsa0"), "supervisor")
    assert out.effects == [Send(IOMMU, Refused(5, Errno.ETIMEDOUT)), Send(IOMMU, Done(4))]
    assert ask(unit, FLUSH_DEV).effects == [Send(IOMMU, Refused(5, Errno.ETIMEDOUT))]


def test_a_drain_of_a_lost_device_ends() -> None:
    unit = unit_with(DRAIN)
    drained = [Send(IOMMU, DrainRequestsGot(8, overflow=False))]
    assert ask(unit, HostLost("dsa0"), "supervisor").effects == drained
    assert ask(unit, DRAIN).effects == drained


def test_a_completion_that_comes_after_the_loss_completes_nothing() -> None:
    unit = unit_with(FLUSH_DEV, InvalidateDevTlb(11, "dsa1", P, 7))
    ask(unit, HostLost("dsa0"), "supervisor")
    assert ask(unit, Done(1), "dsa0").effects == []
    assert ask(unit, Done(1), "dsa1").effects == [Send(IOMMU, Done(11))]
    assert ask(unit, Done(1), "dsa0").effects == []


def test_the_loss_of_one_device_does_not_complete_the_flush_of_another() -> None:
    unit = unit_with(FLUSH_DEV)
    assert ask(unit, HostLost("dsa1"), "supervisor").effects == []
    assert ask(unit, Done(1), "dsa0").effects == [Send(IOMMU, Done(5))]


@pytest.mark.parametrize("name", ["far", "vdcm.dsa0", "vm1.guest"])
def test_other_losses_do_not_concern_the_unit(name: Name) -> None:
    unit = unit_with()
    assert ask(unit, HostLost(name), "supervisor").effects == []
    assert unit == unit_with()


def test_err_flushes_for_another_units_device_reach_nothing_here() -> None:
    """S27: the driver thinks it has flushed; no cache says so."""
    unit = unit_with()
    for flush in (FLUSH_PASID, FLUSH_IOTLB):
        out = ask(unit, msgspec.structs.replace(flush, device="far"))
        assert out.effects == [Send(IOMMU, Done(flush.call))]
        assert out.facts == []
    out = ask(unit, msgspec.structs.replace(FLUSH_DEV, device="far"))
    assert out.effects == [Send(IOMMU, Refused(5, Errno.ETIMEDOUT))]


# --- Responses ------------------------------------------------------------------------------------


def test_a_page_group_response_is_forwarded_even_while_an_invalidation_waits() -> None:
    response = PageGroupResponse("dsa0", P, 7, 3, ResponseCode.SUCCESS, mapped=True)
    assert ask(unit_with(FLUSH_DEV), response).effects == [Send("dsa0", response)]


def test_a_response_to_a_lost_device_goes_nowhere() -> None:
    response = PageGroupResponse("dsa0", P, 7, 3, ResponseCode.SUCCESS, mapped=True)
    assert ask(unit_with(HostLost("dsa0")), response).effects == []
