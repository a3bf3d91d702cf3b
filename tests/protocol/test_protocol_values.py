"""Names, machine, effects, history: small values that everything else rests on."""

import pytest

from protocol.effects import CALM, Out, Send, SetTimer, Site
from protocol.errors import Errno, UnreadableError
from protocol.facts import MsrLoaded, PasidReclaimed
from protocol.history import Record, Stamp, decode_record, encode_record
from protocol.machine import Device, Machine, Unit, Vm
from protocol.messages import Done
from protocol.names import guest_of, kvm_of, vdcm_of, vm_of
from tests.helpers import Failing

MACHINE = Machine(
    units=(Unit("dmar0"), Unit("dmar1")),
    devices=(Device("dsa0", "dmar0"), Device("dsa1", "dmar1", wq="dedicated")),
    vms=(Vm("vm1", (("dsa0", "dsa1"),)), Vm("vm2", (("dsa1",),))),
)
SITE = Site("core.alloc.nospc", Errno.ENOSPC)


def test_a_name_says_whose_it_is() -> None:
    assert [vm_of(guest_of("vm1")), vm_of(kvm_of("vm2")), vdcm_of("dsa0"), vm_of("core")] == [
        "vm1", "vm2", "vdcm.dsa0", "core",
    ]  # fmt: skip


def test_a_machine_answers_who_is_where() -> None:
    assert MACHINE.unit_of("dsa1") == "dmar1"
    assert MACHINE.device("dsa1").wq == "dedicated"
    assert MACHINE.vm("vm1").devices == ("dsa0", "dsa1")
    assert MACHINE.vms_on("dsa1") == ("vm1", "vm2")
    assert MACHINE.vms_on("dsa0") == ("vm1",)


def test_what_leaves_an_actor_leaves_in_order() -> None:
    out = Out("core")
    out.send("vfio", Done(1))
    out.set_timer("retry")
    out.record(MsrLoaded("cpu0", 1, 1))
    assert out.effects == [Send("vfio", Done(1)), SetTimer("retry")]
    assert out.facts == [MsrLoaded("cpu0", 1, 1)]


def test_chance_is_asked_once_and_its_answers_are_kept() -> None:
    out = Out("core", Failing("core.alloc.nospc", draws=(3,)))
    assert out.may_fail(SITE) is Errno.ENOSPC
    assert out.draw(5) == 3
    assert out.answers == [1, 3]
    calm = Out("core", CALM)
    assert (calm.may_fail(SITE), calm.draw(5), calm.answers) == (None, 0, [0, 0])


def test_err_a_draw_outside_its_bound_is_our_bug() -> None:
    class Wild(Failing):
        def draw(self, actor: str, bound: int) -> int:
            return bound

    with pytest.raises(AssertionError, match="not in"):
        Out("core", Wild()).draw(2)


RECORD = Record(
    Stamp(actor="core", n=3, step=7, cause="vfio", cause_n=2, clock={"core": 3, "vfio": 2}),
    PasidReclaimed(1, 4, 1, 0, (), 0xFFFFFFFF, 0, 0),
)


def test_a_record_is_one_flat_line_and_reads_back() -> None:
    line = encode_record(RECORD)
    assert b"\n" not in line
    assert line.startswith(b'{"event":"pasid.reclaimed","pasid":1,')
    again = decode_record(line)
    assert (again.stamp, again.fact) == (RECORD.stamp, RECORD.fact)
    assert repr(again) == repr(RECORD)


def test_a_record_saw_what_happened_before_it_and_no_more() -> None:
    assert RECORD.saw("vfio", 2)
    assert not RECORD.saw("vfio", 3)
    assert not RECORD.saw("iommu", 1)


def test_a_reader_allows_keys_it_does_not_know() -> None:
    line = encode_record(RECORD)[:-1] + b',"later":1}'
    assert decode_record(line).fact == RECORD.fact


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"event":"pasid.reclaimed"', "truncated"),
        (b'{"event":"pasid.stolen","actor":"core","n":1}', "pasid.stolen"),
        (b'{"event":"msr.loaded","cpu":"c","pasid":"x","actor":"a","n":1}', "$.pasid"),
        (b"[" * 100_000, "nested"),
        (b"\xff", ""),
    ],
)  # fmt: skip
def test_err_a_line_that_is_no_record_is_refused_with_its_place(line: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError) as error:
        decode_record(line, "history.jsonl line 3")
    assert str(error.value).startswith("history.jsonl line 3: not a history record: ")
    assert reason in str(error.value) or "expected" in str(error.value).lower()
