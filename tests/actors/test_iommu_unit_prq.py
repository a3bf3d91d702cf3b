"""The unit's page-request ring: the gate, what hardware answers, and that no wake-up is lost."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.iommu_unit import Inbox, IommuUnit
from protocol.effects import Out, Send
from protocol.facts import (
    CacheFilled,
    RequestAutoAnswered,
    RequestRinged,
    RequestTaken,
)
from protocol.machine import Device as DeviceSpec
from protocol.machine import Machine, Unit
from protocol.messages import (
    AdvancePrq,
    ClearPresent,
    Done,
    DrainRequests,
    DrainRequestsGot,
    InvalidatePasidCache,
    PageGroupResponse,
    PageRequest,
    PageRequestInterrupt,
    RaisePageRequest,
    ReadPrq,
    ReadPrqGot,
    ResponseCode,
    WriteEntry,
)
from protocol.names import IOMMU, Name
from tests.helpers import step

P = 101
MACHINE = Machine(units=(Unit("dmar0", prq=2),), devices=(DeviceSpec("dsa0", "dmar0"),), vms=())

ENTRY = WriteEntry(1, "dsa0", P, 7, "vm1", 0x7000, 5)
CLEAR = ClearPresent(2, "dsa0", P, 7, "vm1", "unbind")
FLUSH_PASID = InvalidatePasidCache(3, "dsa0", P, 7, did=5)
INTERRUPT = Send(IOMMU, PageRequestInterrupt())


def request(group: int = 0, last: bool = True) -> RaisePageRequest:
    return RaisePageRequest(P, 7, group, 0x20 + group, last)


def ringed(group: int = 0, last: bool = True) -> PageRequest:
    return PageRequest("dsa0", P, 7, group, 0x20 + group, last)


def answer(group: int, code: ResponseCode) -> Send:
    """What the hardware answers by itself."""
    return Send("dsa0", PageGroupResponse("dsa0", P, 7, group, code, mapped=False))


def ask(unit: IommuUnit, message: Inbox) -> Out:
    """One more input; the unit is the same after being stored and read back."""
    sender: Name = "dsa0" if isinstance(message, RaisePageRequest | Done) else IOMMU
    out = step(unit, message, sender, name="dmar0")
    stored = msgspec.msgpack.encode(unit)
    assert msgspec.msgpack.decode(stored, type=IommuUnit) == unit
    return out


def unit_with(*messages: Inbox) -> IommuUnit:
    unit = IommuUnit.of(MACHINE, "dmar0")
    for message in messages:
        ask(unit, message)
    return unit


# --- The gate -------------------------------------------------------------------------------------


def test_a_request_past_a_present_entry_is_in_the_ring_and_interrupts() -> None:
    unit = unit_with(ENTRY)
    out = ask(unit, request())
    assert out.effects == [INTERRUPT]
    assert out.facts == [
        CacheFilled("pasid-cache", "dsa0", P, 7),
        RequestRinged("dmar0", "dsa0", P, 7, 0),
    ]
    assert unit.ring == [ringed()]


def test_a_request_without_a_present_entry_is_answered_invalid_and_reaches_no_ring() -> None:
    unit = unit_with(ENTRY, CLEAR)
    out = ask(unit, request(3))
    assert out.effects == [answer(3, ResponseCode.INVALID)]
    assert out.facts == [RequestAutoAnswered("dmar0", "dsa0", P, 7, code=1)]
    assert unit.ring == []


def test_a_request_that_wants_no_answer_is_dropped_without_one() -> None:
    out = ask(unit_with(), request(last=False))
    assert out.effects == []
    assert out.facts == [RequestAutoAnswered("dmar0", "dsa0", P, 7, code=-1)]


def test_a_stale_pasid_cache_line_keeps_the_gate_open() -> None:
    unit = unit_with(ENTRY, request(0), CLEAR)
    ask(unit, request(1))
    assert unit.ring == [ringed(0), ringed(1)]


def test_clearing_and_the_pasid_cache_invalidation_close_the_gate() -> None:
    unit = unit_with(ENTRY, request(0), CLEAR, FLUSH_PASID)
    assert ask(unit, request(1)).effects == [answer(1, ResponseCode.INVALID)]
    assert unit.ring == [ringed(0)]


# --- A full ring ----------------------------------------------------------------------------------


def test_a_full_ring_overflows_and_tells_the_device_to_try_again() -> None:
    unit = unit_with(ENTRY, request(0), request(1))
    out = ask(unit, request(2))
    assert out.effects == [answer(2, ResponseCode.SUCCESS)]
    assert out.facts == [RequestAutoAnswered("dmar0", "dsa0", P, 7, code=0)]
    assert unit.overflow
    assert unit.ring == [ringed(0), ringed(1)]


def test_a_full_ring_drops_what_does_not_end_a_group() -> None:
    out = ask(unit_with(ENTRY, request(0), request(1)), request(2, last=False))
    assert out.effects == []
    assert out.facts == [RequestAutoAnswered("dmar0", "dsa0", P, 7, code=-1)]


def test_after_an_overflow_room_alone_takes_nothing_until_the_ring_was_empty() -> None:
    """S34e: the overflow bit outlives the full ring."""
    unit = unit_with(ENTRY, request(0), request(1), request(2), AdvancePrq(4, 1))
    assert unit.overflow
    assert ask(unit, request(3)).effects == [answer(3, ResponseCode.SUCCESS)]
    ask(unit, AdvancePrq(4, 1))
    assert not unit.overflow
    ask(unit, request(3))
    assert unit.ring == [ringed(3)]


def test_a_closed_gate_answers_before_a_full_ring_does() -> None:
    unit = unit_with(ENTRY, request(0), request(1), CLEAR, FLUSH_PASID)
    assert ask(unit, request(2)).effects == [answer(2, ResponseCode.INVALID)]
    assert not unit.overflow


def test_a_drain_tells_of_an_overflow() -> None:
    unit = unit_with(ENTRY, request(0), request(1), request(2), DrainRequests(8, "dsa0", P, 7))
    assert ask(unit, Done(1)).effects == [Send(IOMMU, DrainRequestsGot(8, overflow=True))]


def test_what_the_device_sent_before_it_completed_the_drain_is_in_the_ring() -> None:
    unit = unit_with(ENTRY, DrainRequests(8, "dsa0", P, 7), request())
    ask(unit, Done(1))
    assert unit.ring == [ringed()]


# --- Reading, and being woken up ------------------------------------------------------------------


def test_one_interrupt_stands_for_all_requests_until_the_thread_reads() -> None:
    unit = unit_with(ENTRY, request(0))
    assert ask(unit, request(1)).effects == []
    out = ask(unit, ReadPrq(5, thread=True))
    assert out.effects == [Send(IOMMU, ReadPrqGot(5, (ringed(0), ringed(1)), overflow=False))]


def test_what_arrives_after_the_thread_has_read_interrupts_again() -> None:
    unit = unit_with(ENTRY, request(0), ReadPrq(5, thread=True))
    assert ask(unit, request(1)).effects == [INTERRUPT]
    out = ask(unit, AdvancePrq(6, 1))
    assert out.effects == [Send(IOMMU, Done(6))]
    assert out.facts == [RequestTaken("dmar0", "dsa0", P, 7, 0)]
    assert unit.ring == [ringed(1)]
    assert unit.ppr


def test_what_a_round_leaves_in_the_ring_interrupts_again() -> None:
    unit = unit_with(ENTRY, request(0), request(1), ReadPrq(5, thread=True))
    assert ask(unit, AdvancePrq(6, 1)).effects == [Send(IOMMU, Done(6)), INTERRUPT]


def test_a_drain_that_looks_at_the_ring_takes_no_interrupt_away() -> None:
    unit = unit_with(ENTRY, request(0))
    out = ask(unit, ReadPrq(5, thread=False))
    assert out.effects == [Send(IOMMU, ReadPrqGot(5, (ringed(0),), overflow=False))]
    assert unit.ppr


def test_a_round_that_empties_the_ring_leaves_it_as_it_was_before() -> None:
    unit = unit_with(ENTRY, request(0), ReadPrq(5, thread=True), AdvancePrq(6, 1), FLUSH_PASID)
    assert unit == unit_with(ENTRY)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(["request", "begin", "end", "part"]), max_size=30))
def test_a_request_in_the_ring_always_has_somebody_coming_for_it(inputs: list[str]) -> None:
    """No lost wake-up: an interrupt is under way, or a round has read it and not yet advanced."""
    unit = unit_with(ENTRY)
    interrupts, read = 0, 0
    for one in inputs:
        if one == "request":
            out = ask(unit, request(len(unit.ring)))
        elif one == "begin" and interrupts and not read:
            out, interrupts, read = (
                ask(unit, ReadPrq(5, thread=True)),
                interrupts - 1,
                len(unit.ring),
            )
        elif one in {"end", "part"} and read:
            out = ask(unit, AdvancePrq(6, 1 if one == "part" else read))
            read = 0
        else:
            continue
        interrupts += out.effects.count(INTERRUPT)
        assert len(unit.ring) <= read or interrupts
        assert interrupts <= 1
        assert not unit.overflow or unit.ring
