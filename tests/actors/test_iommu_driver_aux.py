"""Aux domains: mdevs of one device, one PASID-table entry, and whose bind and unbind it is."""

from actors.defects.aux_binds_counted import CountsAuxBinds
from actors.defects.extra_unbind import CountsUnbindsOfOthers
from actors.defects.unbind_by_device_alone import UnbindsByDevice
from actors.iommu_driver import IommuDriver
from protocol.errors import Errno
from protocol.facts import DeviceBound, DomainBound, DomainFreed, DomainUnbound
from protocol.machine import Device, Machine, Mdev, Unit, Vm
from protocol.messages import (
    AttachDomain,
    ClearPresent,
    DetachDomain,
    Done,
    FlushFaults,
    Refused,
    Start,
    WriteEntry,
)
from protocol.names import CORE, IOMMU, SUPERVISOR, VFIO
from tests.actors.iommu_driver_hands import LIFE, Hands, P, bind_of, unbind_of

MACHINE = Machine(
    units=(Unit("dmar0"),),
    devices=(Device("dsa0", "dmar0"),),
    vms=(Vm("vm1", (("m0",), ("m1",))),),
    mdevs=(Mdev("m0", "dsa0"), Mdev("m1", "dsa0")),
)


def fresh(kind: type[IommuDriver] = IommuDriver) -> Hands:
    """Both domains are attached: m0's has id 1, m1's 2."""
    hands = Hands(kind.of(MACHINE, IOMMU))
    hands.give(Start(), SUPERVISOR)
    hands.give(Done(1), CORE)
    for mdev in ("m0", "m1"):
        hands.give(AttachDomain(1, "vm1", mdev))
    hands.forget()
    return hands


def bound(kind: type[IommuDriver] = IommuDriver) -> Hands:
    """The PASID is bound through m0."""
    hands = fresh(kind)
    hands.give(bind_of("m0"))
    hands.settle()
    return hands


def test_each_mdev_has_a_domain_of_its_own() -> None:
    assert fresh().driver.domains_on == {"m0": {"vm1": 1}, "m1": {"vm1": 2}}


def test_err_an_mdev_that_is_not_there_has_none() -> None:
    hands = fresh()
    hands.give(AttachDomain(1, "vm1", "m7"))
    assert hands.sent == [(VFIO, Refused(1, Errno.EINVAL))]


def test_the_entry_is_the_device_s_and_nests_over_the_mdev_s_domain() -> None:
    hands = bound()
    (entry,) = [m for _, m in hands.sent if isinstance(m, WriteEntry)]
    assert (entry.device, entry.did) == ("dsa0", 1)
    assert [fact.device for fact in hands.said(DeviceBound)] == ["dsa0"]
    assert hands.said(DomainBound) == [DomainBound("m0", "dsa0", P, LIFE, "vm1", "m0")]


def test_err_the_same_pasid_through_another_mdev_is_ebusy() -> None:
    hands = bound()
    hands.forget()
    hands.give(bind_of("m1"))
    hands.settle()
    assert hands.got() == [Refused(7, Errno.EBUSY)]
    assert hands.said(DomainBound) == []


def test_another_pasid_through_another_mdev_is_another_entry() -> None:
    hands = bound()
    hands.forget()
    hands.give(bind_of("m1", pasid=P + 1))
    hands.settle()
    (entry,) = [m for _, m in hands.sent if isinstance(m, WriteEntry)]
    assert (entry.device, entry.pasid, entry.did) == ("dsa0", P + 1, 2)


def test_an_unbind_through_another_mdev_has_nothing_to_do() -> None:
    hands = bound()
    hands.forget()
    hands.give(unbind_of("m1"))
    assert hands.sent == [(VFIO, Done(8))]


def test_an_unbind_through_the_mdev_clears_the_device_s_entry() -> None:
    hands = bound()
    hands.forget()
    hands.give(unbind_of("m0"))
    hands.settle()
    assert [m.device for _, m in hands.sent if isinstance(m, ClearPresent)] == ["dsa0"]
    assert hands.said(DomainUnbound) == [DomainUnbound("m0", "dsa0", P, LIFE)]
    assert hands.got() == [Done(8)]


def test_a_domain_goes_when_what_was_bound_through_it_has_gone() -> None:
    hands = bound()
    hands.forget()
    hands.give(DetachDomain(2, "vm1", "m1"))
    assert hands.got() == [Done(2)]
    hands.give(DetachDomain(3, "vm1", "m0"))
    assert hands.got() == [Done(2)]
    assert hands.said(DomainFreed) == [DomainFreed("m1", "dsa0", "vm1")]
    hands.give(unbind_of("m0"))
    hands.settle()
    assert Done(3) in hands.got()
    assert hands.said(DomainFreed)[1:] == [DomainFreed("m0", "dsa0", "vm1")]


def test_detaching_what_is_not_attached_frees_nothing() -> None:
    hands = fresh()
    hands.give(DetachDomain(2, "vm2", "m0"))
    assert hands.got() == [Done(2)]
    assert hands.said(DomainFreed) == []


def test_before_july_2020_a_second_bind_was_counted() -> None:
    """The entry keeps the second level of the first; the last unbind clears it."""
    hands = bound(CountsAuxBinds)
    hands.forget()
    hands.give(bind_of("m1"))
    hands.settle()
    assert hands.got() == [Done(7)]
    assert hands.said(DomainBound) == [DomainBound("m1", "dsa0", P, LIFE, "vm1", "m0")]
    hands.forget()
    hands.give(unbind_of("m0"))
    assert hands.calls() == ["Done"]
    hands.give(unbind_of("m0"))
    assert hands.calls() == ["Done", "Done"]
    hands.give(unbind_of("m1"))
    hands.settle()
    assert "ClearPresent" in hands.calls()


def test_err_what_is_being_torn_down_is_not_counted() -> None:
    hands = bound(CountsAuxBinds)
    hands.give(unbind_of("m0"))
    hands.settle(FlushFaults)
    hands.forget()
    hands.give(bind_of("m1"))
    hands.answer(FlushFaults)
    hands.settle()
    assert Refused(7, Errno.EBUSY) in hands.got()


def test_err_an_extra_unbind_counts_for_the_other() -> None:
    hands = bound(CountsUnbindsOfOthers)
    hands.give(bind_of("m1"))
    hands.settle()
    hands.give(unbind_of("m0"))
    hands.forget()
    hands.give(unbind_of("m0"))
    hands.settle()
    assert "ClearPresent" in hands.calls()


def test_err_an_unbind_that_names_only_the_device_takes_any_bind() -> None:
    hands = bound(UnbindsByDevice)
    hands.forget()
    hands.give(unbind_of("m1"))
    hands.settle()
    assert "ClearPresent" in hands.calls()
