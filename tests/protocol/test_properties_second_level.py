"""N11: a bind through an aux domain keeps that domain's second level (seed 000)."""

import pytest

from protocol.facts import (
    DeviceUnbound,
    DomainBound,
    DomainFreed,
    DomainUnbound,
    EnqcmdIssued,
)
from protocol.machine import Device, Machine, Mdev, Unit, Vm
from tests.protocol.stories import PASID, Story, cleared

P = PASID
MACHINE = Machine(
    units=(Unit("dmar0"),),
    devices=(Device("dsa0", "dmar0"),),
    vms=(Vm("vm1", (("m0",), ("m1",))),),
    mdevs=(Mdev("m0", "dsa0"), Mdev("m1", "dsa0")),
)
FREED = DomainFreed("m0", "dsa0", "vm1")


def bound(domain: str = "m0", level: str = "m0") -> DomainBound:
    return DomainBound(domain, "dsa0", P, 1, "vm1", level)


def gone(domain: str = "m0") -> DomainUnbound:
    return DomainUnbound(domain, "dsa0", P, 1)


def off(why: str = "unbind") -> DeviceUnbound:
    return DeviceUnbound("dsa0", P, 1, "vm1", why, "unbind:1")


def issued(device: str) -> EnqcmdIssued:
    return EnqcmdIssued("vm1", device, P, 1)


def told() -> Story:
    return Story("binds-keep-their-second-level", MACHINE)


def test_one_bind_from_its_beginning_to_its_end() -> None:
    story = told()
    story.then("iommu", bound())
    story.then("vm1.kvm", issued("m0"))
    story.then("iommu", gone(), off())
    story.then("dmar0", cleared())
    story.then("iommu", FREED)
    story.then("vm1.kvm", issued("m0"))
    assert story.said == []
    assert story.owed() == []


def test_what_is_not_bound_through_an_mdev_promises_it_nothing() -> None:
    story = told()
    story.then("iommu", bound())
    story.then("vm1.kvm", issued("m1"))
    assert story.said == []


def test_err_the_second_bind_works_by_the_first_one_s_second_level() -> None:
    story = told()
    story.then("iommu", bound())
    story.then("iommu", bound("m1", "m0"))
    (sentence,) = story.then("vm1.kvm", issued("m1"))
    assert sentence == (
        "vm1 submitted PASID 5 (life 1) through m1, bound, at input 1 of vm1.kvm, and the entry "
        "of dsa0 has the second level of m0"
    )


def test_err_a_bind_without_an_entry() -> None:
    story = told()
    story.then("iommu", bound())
    story.then("dmar0", cleared())
    (sentence,) = story.then("vm1.kvm", issued("m0"))
    assert sentence.endswith("the entry of dsa0 has the second level of nobody")


@pytest.mark.parametrize("why", ["unbind", "release", "rollback"])
def test_err_an_unbind_takes_another_bind_with_it(why: str) -> None:
    story = told()
    story.then("iommu", bound())
    (sentence,) = story.then("iommu", gone("m1"), off(why))
    assert sentence == (
        f"PASID 5 (life 1) was taken off dsa0 at input 2 of iommu ({why}), still bound through m0"
    )


def test_a_free_takes_all_of_them() -> None:
    story = told()
    story.then("iommu", bound())
    story.then("iommu", off("free"))
    assert story.said == []


def test_err_a_second_level_is_freed_under_an_entry() -> None:
    story = told()
    story.then("iommu", bound())
    (sentence,) = story.then("iommu", FREED)
    assert sentence == (
        "the second level of vm1 on m0 was freed at input 2 of iommu, and the entry of dsa0 for "
        "PASID 5 points to it"
    )


def test_another_second_level_may_go() -> None:
    story = told()
    story.then("iommu", bound())
    story.then("iommu", DomainFreed("m1", "dsa0", "vm1"))
    assert story.said == []


def test_a_machine_without_mdevs_is_not_looked_at() -> None:
    story = Story("binds-keep-their-second-level")
    story.then("iommu", bound(), FREED)
    assert story.said == []
