"""SMMUv3: what the RID has, what PASIDs have, and the core that tells the driver of both (§8)."""

import pytest
from msgspec import structs

from actors.intel_iommu.arm_smmu_v3 import ArmSmmuV3
from actors.iommu_core.rid import RidCore
from actors.revisions._units_7_3 import Linux73Smmu
from protocol.domains import Domain
from protocol.errors import Errno
from protocol.facts.iommu_core import GroupDomainSet
from protocol.messages import Done, Refused
from protocol.messages.address_spaces import ReleaseMm
from protocol.messages.iommu_core import AttachGroupHandle, ClaimDmaOwner
from protocol.messages.probing import AttachDev
from protocol.names import IOMMU
from tests.actors.intel_iommu_hands import MACHINE, Hands, detach_of, set_of
from tests.actors.iommu_core_hands import core, facts, hand

VM = Domain("vm", unit="dmar0", stage=2)
OURS = structs.replace(MACHINE, domains=(*MACHINE.domains, VM))


def smmu(kind: type[ArmSmmuV3] = ArmSmmuV3) -> Hands:
    return Hands(kind.of(OURS, IOMMU))


def rid(hands: Hands, domain: str, call: int = 3) -> list[Done | Refused]:
    """What attach_dev of d1 says."""
    hands.forget()
    hands.give(AttachDev(call, "d1", domain))
    return hands.got()


def test_a_stage_2_and_pasids_exclude_each_other() -> None:
    hands = smmu()
    assert rid(hands, "vm") == [Done(3)]
    hands.give(set_of("paging"))
    assert hands.got()[-1] == Refused(1, Errno.EINVAL)
    assert rid(hands, "paging") == [Done(3)]
    hands.attach("paging")
    assert rid(hands, "vm") == [Refused(3, Errno.EBUSY)]
    assert isinstance(hands.driver, ArmSmmuV3)
    assert hands.driver.rids == {"d1": "paging"}
    assert rid(hands, "other") == [Done(3)]


def test_a_domain_of_the_cores_own_is_not_answered() -> None:
    hands = smmu()
    rid(hands, "vm")
    assert rid(hands, "blocked", call=0) == []
    hands.attach("paging")
    assert hands.got()[-1] == Done(1)


@pytest.mark.parametrize(
    ("kind", "drains"), [(ArmSmmuV3, ["DrainRequests"]), (Linux73Smmu, [])], ids=["sound", "7.3"]
)
def test_a_descriptor_stays_until_the_detach(kind: type[ArmSmmuV3], drains: list[str]) -> None:
    hands = smmu(kind)
    domain = hands.sva()
    hands.attach(domain)
    hands.give(ReleaseMm(7, domain), "proc1")
    hands.settle()
    hands.give(set_of(domain, pasid=6))
    assert hands.got()[-1] == Refused(1, Errno.EINVAL)
    hands.forget()
    hands.give(detach_of(domain))
    hands.settle()
    assert hands.calls()[:2] == ["ZeroEntry", "InvalidateDevTlb"]
    assert [one for one in hands.calls() if one == "DrainRequests"] == drains
    assert hands.driver.table == {}


# --- The core -------------------------------------------------------------------------------------

ATTACH = AttachGroupHandle(5, "g2", "p0", "h")


def asked(made: RidCore, message: object, sender: str) -> list[object]:
    """What is sent after one message."""
    return [one.message for one in hand(made, message, sender)]  # type: ignore[arg-type]


def test_a_group_gets_a_domain_when_every_device_has_it() -> None:
    made = core(RidCore)
    assert isinstance(made, RidCore)
    assert asked(made, ATTACH, "vfio") == [AttachDev(2, "b0", "p0")]
    assert asked(made, Done(2), IOMMU) == [AttachDev(2, "b1", "p0")]
    told = asked(made, Done(2), IOMMU)
    assert told == [AttachDev(0, "b0", "p0"), AttachDev(0, "b1", "p0"), Done(5)]
    assert made.groups["g2"].domain == "p0"


def test_err_one_device_refuses_and_the_others_go_back() -> None:
    made = core(RidCore)
    assert isinstance(made, RidCore)
    asked(made, ATTACH, "vfio")
    asked(made, Done(2), IOMMU)
    assert asked(made, Refused(2, Errno.EBUSY), IOMMU) == [AttachDev(2, "b0", "default")]
    assert asked(made, Done(2), IOMMU) == [Refused(5, Errno.EBUSY)]
    group = made.groups["g2"]
    assert (group.domain, group.task, group.tables) == ("default", None, {"": {}})


def test_what_is_refused_by_the_core_is_not_asked() -> None:
    made = core(RidCore)
    assert isinstance(made, RidCore)
    wrong = structs.replace(ATTACH, handle="")
    assert asked(made, wrong, "vfio") == [Refused(5, Errno.EINVAL)]


def test_a_claim_blocks_the_rid_and_is_asked_of_nobody() -> None:
    made = core(RidCore)
    assert isinstance(made, RidCore)
    assert asked(made, ClaimDmaOwner(5, "f0", "o"), "vfio") == [
        AttachDev(0, "f0", "blocked"),
        Done(5),
    ]
    again = core(RidCore)
    assert GroupDomainSet("f0", "blocked") in facts(again, ClaimDmaOwner(5, "f0", "o"))
