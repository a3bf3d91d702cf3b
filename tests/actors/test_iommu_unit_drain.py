"""What a unit can and cannot do: domains of an IOTLB flush, and drains without PDS."""

import pytest

from actors.iommu_unit import IommuUnit
from protocol.effects import Send
from protocol.facts import CacheFlushed
from protocol.machine import Device, Machine, Unit
from protocol.messages import Done, DrainRequestsGot, FlushDevTlb, InvalidateIotlb
from protocol.names import IOMMU
from tests.actors.test_iommu_unit import (
    CLEAR,
    DRAIN,
    FLUSH_DEV,
    ZERO,
    P,
    ask,
    entry,
    look,
    unit_with,
)

DEVICE = Device("dsa0", "dmar0")


def test_a_flush_of_another_domain_leaves_the_lines_and_is_complete() -> None:
    unit = unit_with(entry(), look(), CLEAR)
    out = ask(unit, InvalidateIotlb(4, "dsa0", P, 7, did=6))
    assert out.effects == [Send(IOMMU, Done(4))]
    assert out.facts == []
    assert ("dsa0", P) in unit.iotlb


@pytest.mark.parametrize("before", [(entry(), look(), CLEAR), (entry(), look(), CLEAR, ZERO), ()])
def test_the_entrys_own_domain_or_that_of_no_entry_is_flushed(before: tuple[object, ...]) -> None:
    unit = unit_with(*before)  # type: ignore[arg-type]
    out = ask(unit, InvalidateIotlb(4, "dsa0", P, 7, did=5))
    assert out.facts == [CacheFlushed("iotlb", "dsa0", P, 7)]
    assert unit.iotlb == {}


def test_err_without_pds_a_drain_is_complete_at_once() -> None:
    unit = IommuUnit.of(Machine((Unit("dmar0", pds=False),), (DEVICE,), ()), "dmar0")
    assert ask(unit, DRAIN).effects == [Send(IOMMU, DrainRequestsGot(8, overflow=False))]
    assert ask(unit, FLUSH_DEV).effects == [Send("dsa0", FlushDevTlb(1, P, 7))]


@pytest.mark.parametrize(("pri", "pds"), [(True, True), (True, False), (False, True)])
def test_pri_is_on_where_the_device_has_it_and_its_unit_can_drain(pri: bool, pds: bool) -> None:
    device = Device("dsa0", "dmar0", pri=pri)
    machine = Machine((Unit("other", pds=False), Unit("dmar0", pds=pds)), (device,), ())
    assert machine.has_pri(device) is (pri and pds)
