"""The IOMMU core: resets, and devices that come and go."""

from protocol.domains import BLOCKING
from protocol.errors import Errno
from protocol.messages import Done, Refused
from protocol.messages.iommu_core import (
    PlugDevice,
    ResetDone,
    ResetPrepare,
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

BLOCKED = BLOCKING.name


def test_a_reset_blocks_one_device_and_then_gives_it_back_what_is_attached() -> None:
    made = core()
    done(made, attach("b0", 1))
    done(made, attach("b0", 2, "p1", "h2"))
    answer, calls = done(made, ResetPrepare(1, "b0"))
    assert answer == Done(1)
    assert calls == [
        *told(("b0", BLOCKED, "p0"), group=2, pasid=1),
        *told(("b0", BLOCKED, "p1"), group=2, pasid=2),
    ]
    _, calls = done(made, ResetDone(1, "b0"))
    assert calls == [
        *told(("b0", "p0", BLOCKED), group=2, pasid=1),
        *told(("b0", "p1", BLOCKED), group=2, pasid=2),
    ]


def test_nobody_attaches_to_a_group_that_recovers_but_may_detach() -> None:
    made = core()
    done(made, attach("b0"))
    done(made, ResetPrepare(1, "b0"))
    assert done(made, attach("b1", 2))[0] == Refused(5, Errno.EBUSY)
    assert done(made, replace("b1"))[0] == Refused(6, Errno.EBUSY)
    assert done(made, detach("b1")) == (Done(8), told(("b1", BLOCKED, "p0"), group=2))
    assert done(made, ResetDone(1, "b0")) == (Done(1), [])  # It was detached meanwhile.
    assert done(made, attach("b1", 2))[0] == Done(5)


def test_resets_within_resets_only_count() -> None:
    made = core()
    done(made, attach())
    assert done(made, ResetPrepare(1, "a0"))[1] == told(("a0", BLOCKED, "p0"), group=1)
    assert done(made, ResetPrepare(1, "a0")) == (Done(1), [])
    assert done(made, ResetDone(1, "a0")) == (Done(1), [])
    assert done(made, replace())[0] == Refused(6, Errno.EBUSY)
    assert done(made, ResetDone(1, "a0"))[1] == told(("a0", "p0", BLOCKED), group=1)
    assert done(made, ResetDone(1, "a0")) == (Done(1), [])
    assert done(made, replace())[0] == Done(6)


def test_two_devices_of_a_group_recover_each_for_itself() -> None:
    made = core()
    done(made, attach("b0"))
    done(made, ResetPrepare(1, "b0"))
    assert done(made, ResetPrepare(1, "b1"))[1] == told(("b1", BLOCKED, "p0"), group=2)
    assert done(made, ResetDone(1, "b0"))[1] == told(("b0", "p0", BLOCKED), group=2)
    assert done(made, attach("b0", 2))[0] == Refused(5, Errno.EBUSY)
    assert done(made, ResetDone(1, "b1"))[1] == told(("b1", "p0", BLOCKED), group=2)
    assert done(made, attach("b0", 2))[0] == Done(5)


def test_a_device_that_refuses_after_its_reset_is_not_undone() -> None:
    made = core()
    done(made, attach("b0"))
    done(made, ResetPrepare(1, "b0"))
    assert done(made, ResetDone(1, "b0"), refusing(("b0", "p0")))[0] == Done(1)
    assert not made.devices["b0"].blocked


def test_without_ats_a_reset_is_nothing() -> None:
    made = core()
    done(made, attach("u0"))
    assert done(made, ResetPrepare(1, "u0")) == (Done(1), [])
    assert done(made, ResetPrepare(1, "n0")) == (Done(1), [])
    assert done(made, replace("u0"))[0] == Done(6)


def test_a_newcomer_gets_no_pasid_and_is_asked_to_give_it_up() -> None:
    made = core()
    assert done(made, UnplugDevice(1, "b1"))[0] == Done(1)
    assert done(made, attach("b0", 9)) == (Done(5), told(("b0", "p0", ""), group=2, pasid=9))
    assert done(made, attach("b1", 9))[0] == Refused(5, Errno.ENODEV)
    assert done(made, PlugDevice(1, "b1")) == (Done(1), [])
    assert done(made, PlugDevice(1, "b1"))[0] == Refused(1, Errno.EBUSY)
    assert done(made, PlugDevice(1, "n0"))[0] == Refused(1, Errno.ENODEV)
    calls = done(made, detach("b0", 9))[1]
    assert calls == told(("b0", BLOCKED, "p0"), ("b1", BLOCKED, "p0"), group=2, pasid=9)


def test_what_the_last_device_of_a_group_leaves_is_gone() -> None:
    made = core()
    done(made, attach())
    assert done(made, UnplugDevice(1, "a0"))[0] == Done(1)
    done(made, PlugDevice(1, "a0"))
    assert done(made, look())[0] == Refused(9, Errno.ENOENT)
    assert not made.handles


def test_a_device_that_leaves_in_its_reset_recovers_its_group() -> None:
    made = core()
    done(made, ResetPrepare(1, "b1"))
    done(made, UnplugDevice(1, "b1"))
    assert done(made, attach("b0"))[0] == Done(5)


def test_who_waits_for_a_group_that_its_device_has_left_is_refused() -> None:
    made = core()
    hand(made, attach("b0"))
    hand(made, UnplugDevice(1, "b1"), "test")
    hand(made, attach("b1", 2, call=6), "sva")
    hand(made, Done(2), IOMMU)
    answers = [one.message for one in hand(made, Done(2), IOMMU)]
    assert answers == [Done(5), Done(1), Refused(6, Errno.ENODEV)]
