"""Linux 6.12, and the designs of two questions: whose is the table, and what is a free slot."""

import pytest

from actors.iommu_core import IommuCore
from actors.revisions.device_table import DeviceTableCore
from actors.revisions.errno_slot import ErrnoSlotCore
from actors.revisions.group_table import GroupTableCore
from actors.revisions.group_table_singleton import GroupTableSingletonCore
from actors.revisions.linux_6_12 import Linux612Core
from actors.revisions.linux_7_3 import Linux73Core
from actors.revisions.null_slot import NullSlotCore
from protocol.domains import BLOCKING
from protocol.errors import Errno
from protocol.messages import Done, Refused
from protocol.messages.iommu_core import (
    AttachGroupHandle,
    AttachHandleGot,
    PlugDevice,
    RemoveDevPasid,
    UnplugDevice,
)
from protocol.names import IOMMU
from tests.actors.iommu_core_hands import (
    attach,
    core,
    detach,
    done,
    hand,
    look,
    refusing,
    replace,
    told,
)

H = AttachHandleGot(9, "h", "p0")
NOBODY = Refused(9, Errno.ENOENT)
EINVAL = Refused(5, Errno.EINVAL)


def test_6_12_lets_a_look_up_see_an_attach_that_then_fails() -> None:
    """Finding 1 of the recordings: five such calls in one run."""
    made = core(Linux612Core)
    hand(made, attach("b0"))
    assert hand(made, look("g2"))[0].message == H
    hand(made, Refused(2, Errno.EIO), IOMMU)
    assert hand(made, look("g2"))[0].message == NOBODY


def test_6_12_takes_a_pasid_away_by_a_callback_of_its_own() -> None:
    made = core(Linux612Core)
    _, calls = done(made, attach("b0"), refusing(("b1", "p0")))
    assert calls[2:] == [RemoveDevPasid(2, "b0", 1, 7, "p0")]
    assert done(made, detach("b0", domain="nested"))[1] == [
        RemoveDevPasid(2, device, 1, 7, "nested") for device in ("b0", "b1")
    ]


def test_6_12_has_no_replace_of_a_pasid() -> None:
    made = core(Linux612Core)
    done(made, attach())
    assert done(made, replace())[0] == Refused(6, Errno.EOPNOTSUPP)


@pytest.mark.parametrize("kind", [IommuCore, GroupTableCore, Linux73Core])
def test_with_a_table_for_each_group_a_sibling_sees_what_is_attached(
    kind: type[IommuCore],
) -> None:
    made = core(kind)
    assert done(made, attach("b0"))[0] == Done(5)
    assert done(made, attach("b1"))[0] == Refused(5, Errno.EBUSY)
    assert done(made, attach("b0", 8))[0] == EINVAL


def test_the_check_for_one_device_misses_who_joins_later() -> None:
    made = core(GroupTableSingletonCore)
    assert done(made, attach("b0"))[0] == EINVAL
    assert done(made, attach("a0"))[0] == Done(5)
    done(made, UnplugDevice(1, "b1"))
    assert done(made, attach("b0"))[0] == Done(5)
    done(made, PlugDevice(1, "b1"))
    assert done(made, look("g2"))[0] == H
    assert done(made, attach("b1", 2))[0] == EINVAL


def test_with_a_table_for_each_device_a_sibling_is_not_concerned() -> None:
    made = core(DeviceTableCore)
    assert done(made, attach("b0", 9)) == (Done(5), told(("b0", "p0", ""), group=2, pasid=9))
    assert done(made, attach("b1", 9))[0] == EINVAL
    assert done(made, attach("b1", 2, "p1", "k")) == (
        Done(5),
        told(("b1", "p1", ""), group=2, pasid=2),
    )
    assert done(made, look("b0", 9))[0] == H
    assert done(made, look("b1", 9))[0] == NOBODY
    away = told(("b0", BLOCKING.name, "p0"), group=2, pasid=9)
    assert done(made, detach("b0", 9)) == (Done(8), away)
    assert done(made, look("b1", 2))[0] == AttachHandleGot(9, "k", "p1")


def test_with_a_table_for_each_device_dma_without_pasid_stays_the_groups() -> None:
    made = core(DeviceTableCore)
    done(made, AttachGroupHandle(1, "g2", "p0", "h"))
    assert [done(made, look(name, 0))[0] for name in ("b0", "b1", "g2")] == [H] * 3
    done(made, attach("b0", 1, "p0", "k"))
    done(made, UnplugDevice(1, "b0"))
    assert "k" not in made.handles
    assert done(made, look("b0"))[0] == NOBODY


def test_null_for_a_free_slot_is_null_for_one_without_a_handle() -> None:
    """The hole that the design was known to have: the caller goes on, and is refused late."""
    for kind, said in ((NullSlotCore, AttachHandleGot(9, "")), (ErrnoSlotCore, NOBODY)):
        made = core(kind)
        assert done(made, look())[0] == said
        done(made, attach(handle=""))
        assert done(made, look())[0] == said
        assert done(made, attach())[0] == Refused(5, Errno.EBUSY)
        done(made, detach())
        done(made, attach())
        assert done(made, look())[0] == H
        assert done(made, look(kind="SVA"))[0] == Refused(9, Errno.EBUSY)
