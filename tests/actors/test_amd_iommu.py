"""What AMD's driver does where VT-d's does something else (§8)."""

import pytest

from actors.intel_iommu.amd import AmdIommu
from actors.revisions._units_7_3 import Linux73Amd
from protocol.effects import CALM
from protocol.errors import Errno
from protocol.messages import Done, Refused, Start
from protocol.messages.address_spaces import AddIopfDevice, ReleaseMm
from protocol.names import IOMMU, IOPF, SUPERVISOR
from tests.actors.intel_iommu_hands import MACHINE, Hands, detach_of, set_of
from tests.helpers import Failing

CLEARED = [
    "ClearPresent",
    "InvalidatePasidCache",
    "InvalidatePiotlb",
    "InvalidateDevTlb",
    "ZeroEntry",
]
DRAIN = ["ReadPrq", "DrainRequests"]


def attached(kind: type[AmdIommu] = AmdIommu) -> tuple[Hands, str]:
    """An mm's domain on a device."""
    hands = Hands(kind.of(MACHINE, IOMMU))
    domain = hands.sva()
    hands.give(set_of(domain))
    hands.settle()
    assert hands.got() == [Done(1)]
    hands.forget()
    return hands, domain


@pytest.mark.parametrize(
    ("kind", "drain"), [(AmdIommu, DRAIN), (Linux73Amd, [])], ids=["sound", "7.3"]
)
def test_a_detach_in_7_3_waits_for_no_page_request(kind: type[AmdIommu], drain: list[str]) -> None:
    hands, domain = attached(kind)
    hands.give(detach_of(domain))
    hands.settle()
    assert hands.calls(Done) == [*CLEARED, *drain]
    assert (hands.got(), hands.driver.table) == ([Done(1)], {})
    assert hands.driver.domains[domain].places == []


@pytest.mark.parametrize(
    ("kind", "drain"),
    [(AmdIommu, ["InvalidateDevTlb", *DRAIN]), (Linux73Amd, [])],
    ids=["sound", "7.3"],
)
def test_a_release_takes_records_and_entries(kind: type[AmdIommu], drain: list[str]) -> None:
    """The detach that comes later finds nothing, but requests."""
    hands, domain = attached(kind)
    hands.give(ReleaseMm(7, domain), "proc1")
    hands.settle()
    assert hands.calls(Done) == CLEARED
    assert (hands.got("proc1"), hands.driver.table) == ([Done(7)], {})
    assert hands.driver.domains[domain].places == []
    assert hands.driver.domains[domain].tags == []
    hands.forget()
    hands.give(detach_of(domain))
    hands.settle()
    assert (hands.calls(Done), hands.got()) == (drain, [Done(1)])


def test_devices_with_pri_are_on_the_queue_from_the_start() -> None:
    hands = Hands(AmdIommu.of(MACHINE, IOMMU))
    hands.give(Start(), SUPERVISOR)
    hands.settle()
    able = [one.name for one in hands.driver.devices.values() if one.pri]
    assert hands.sent == [(IOPF, AddIopfDevice(1, name)) for name in able]
    assert hands.driver.tasks == {}


def test_err_nothing_is_replaced_and_no_memory_is_einval() -> None:
    hands, domain = attached()
    before = hands.books()
    hands.give(set_of(hands.sva("proc2"), old=domain))
    assert hands.got()[-1] == Refused(1, Errno.EOPNOTSUPP)
    hands.give(set_of("paging", pasid=6))
    assert hands.got()[-1] == Refused(1, Errno.EOPNOTSUPP)
    for pasid in (0, 64):
        hands.give(set_of(domain, pasid=pasid))
        assert hands.got()[-1] == Refused(1, Errno.EINVAL)
    hands.chance = Failing("intel_iommu.set_dev_pasid")
    hands.give(set_of(domain, pasid=6))
    assert hands.got()[-1] == Refused(1, Errno.EINVAL)
    hands.chance = CALM
    assert before[1:] == hands.books()[1:]
