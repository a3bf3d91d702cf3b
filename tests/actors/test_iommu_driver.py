import msgspec
import pytest

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.order import insert
from protocol.errors import Errno
from protocol.facts import (
    LockReleased,
    LockTaken,
    LockWaited,
    MemoryUsed,
    NotificationAnswered,
    NotificationHandled,
)
from protocol.messages import (
    AttachDomain,
    DetachDomain,
    Done,
    FlushFaults,
    HostLost,
    NotifyAlloc,
    NotifyBind,
    NotifyReply,
    NotifyUnbind,
    PutPasidGot,
    ReadPrqGot,
    Refused,
    RegisterNotifier,
    Start,
    Verdict,
)
from protocol.messages import Priority as Prio
from protocol.names import CORE, IOMMU, NO_SET
from tests.actors.iommu_driver_hands import (
    LIFE,
    MACHINE,
    Hands,
    P,
    bind_of,
    bound,
    free_of,
    fresh,
    request_of,
    unbind_of,
)


def test_it_registers_for_free_of_every_set_first_of_all() -> None:
    hands = Hands(IommuDriver.of(MACHINE, IOMMU))
    hands.give(Start(), "supervisor")
    assert hands.sent == [(CORE, RegisterNotifier(1, NO_SET, Prio.IOMMU))]
    hands.give(Done(1), CORE)
    assert hands.driver.tasks == {}


def test_its_fallible_steps_and_its_loss_are_declared() -> None:
    assert [site.name for site in IommuDriver.SITES] == [
        "iommu.bind.svm",
        "iommu.bind.sdev",
        "iommu.bind.enable_pasid",
    ]
    assert not IommuDriver.LOSABLE


@pytest.mark.parametrize(
    ("notification", "name"),
    [
        (NotifyAlloc(3, P, LIFE), "ALLOC"),
        (NotifyBind(3, P, LIFE), "BIND"),
        (NotifyUnbind(3, P, LIFE), "UNBIND"),
    ],
)
def test_what_concerns_a_set_is_answered_done(
    notification: NotifyAlloc | NotifyBind | NotifyUnbind, name: str
) -> None:
    hands = bound()
    before = hands.state()
    hands.give(notification, CORE)
    assert hands.sent == [(CORE, NotifyReply(3, Verdict.DONE))]
    assert hands.facts == [
        NotificationHandled(name, P, LIFE, "notify:3"),
        NotificationAnswered(name, P, LIFE, "notify:3", "DONE"),
    ]
    assert hands.state() == before


def test_a_lost_guest_changes_nothing_here() -> None:
    """VFIO's release unbinds for it."""
    hands = bound()
    before = hands.state()
    hands.give(HostLost("vm1.guest"), "supervisor")
    assert hands.sent == []
    assert hands.state() == before


# --- Domains --------------------------------------------------------------------------------------


def test_each_domain_has_the_smallest_free_id() -> None:
    hands = fresh()
    assert hands.driver.domains_on == {
        "dsa0": {"vm1": 1, "vm2": 5},
        "dsa1": {"vm1": 2},
        "dsa2": {"vm1": 3},
        "old": {"vm1": 4},
    }
    hands.give(DetachDomain(1, "vm1", "dsa1"))
    hands.give(AttachDomain(2, "vm2", "dsa1"))
    assert hands.driver.domains_on["dsa1"] == {"vm2": 2}
    assert hands.got() == [Done(1), Done(2)]


def test_err_a_domain_that_is_attached_is_ebusy_and_an_unknown_device_einval() -> None:
    hands = fresh()
    before = hands.state()
    hands.give(AttachDomain(1, "vm1", "dsa0"))
    hands.give(AttachDomain(2, "vm1", "none"))
    assert hands.got() == [Refused(1, Errno.EBUSY), Refused(2, Errno.EINVAL)]
    assert hands.state() == before


def test_detaching_what_is_not_attached_is_done() -> None:
    hands = fresh()
    before = hands.state()
    hands.give(DetachDomain(1, "vm2", "dsa1"))
    hands.give(DetachDomain(2, "vm1", "none"))
    assert hands.got() == [Done(1), Done(2)]
    assert hands.facts == []
    assert hands.state() == before


def test_a_domain_is_detached_only_when_its_last_svm_dev_has_gone() -> None:
    hands = bound("dsa0", "dsa1")
    hands.give(DetachDomain(1, "vm1", "dsa0"))
    hands.give(DetachDomain(2, "vm1", "dsa0"))
    hands.give(unbind_of("dsa0"))
    hands.settle(FlushFaults)
    assert hands.got() == [], "the entry is clear, but not drained"
    hands.settle()
    assert hands.got() == [Done(8), Done(1), Done(2)]
    assert hands.driver.detaching == []
    assert hands.driver.domains_on["dsa0"] == {"vm2": 5}


def test_a_detach_waits_for_the_svm_devs_of_its_own_vm_only() -> None:
    hands = bound("dsa0")
    hands.give(DetachDomain(1, "vm2", "dsa0"))
    hands.give(DetachDomain(2, "vm1", "dsa1"))
    assert hands.got() == [Done(1), Done(2)]


def test_err_a_domain_that_is_being_detached_is_neither_bound_nor_attached() -> None:
    hands = bound("dsa0")
    hands.give(DetachDomain(1, "vm1", "dsa0"))
    hands.give(bind_of(pasid=6))
    hands.give(AttachDomain(2, "vm1", "dsa0"))
    assert hands.got() == [Refused(7, Errno.EINVAL), Refused(2, Errno.EBUSY)]


# --- Mutex and state ------------------------------------------------------------------------------


def test_the_mutex_goes_to_those_who_wait_in_the_order_of_asking() -> None:
    hands = bound("dsa0")
    hands.give(bind_of("dsa1", call=1))
    hands.give(unbind_of("dsa0", pasid=99, call=2))
    hands.give(unbind_of("dsa1", pasid=98, call=3))
    assert hands.said(LockWaited) == [
        LockWaited("pasid_mutex", "mutex", "unbind:2"),
        LockWaited("pasid_mutex", "mutex", "unbind:3"),
    ]
    hands.settle()
    assert hands.got() == [Done(1), Done(2), Done(3)]
    taken = [fact.task for fact in hands.facts if isinstance(fact, LockTaken)]
    released = [fact.task for fact in hands.facts if isinstance(fact, LockReleased)]
    assert taken == released == ["bind:1", "unbind:2", "unbind:3"]


def test_every_use_of_memory_is_stated_while_it_is_there() -> None:
    hands = bound("dsa0")
    hands.give(free_of(), CORE)
    assert hands.said(MemoryUsed) == [MemoryUsed("svm", "svm1")]


def test_the_state_survives_encoding_in_the_middle_of_everything() -> None:
    """`Hands` does it after each input; here with every kind of task at once."""
    hands = bound("dsa0", "dsa1")
    hands.ring(request_of())
    hands.give(unbind_of("dsa1"))
    hands.give(bind_of(pasid=6))
    hands.free()
    hands.give(DetachDomain(1, "vm1", "dsa1"))
    assert len(hands.driver.tasks) == 4
    encoded = msgspec.msgpack.encode(hands.driver)
    assert msgspec.msgpack.decode(encoded, type=IommuDriver) == hands.driver


def test_tables_are_kept_in_the_order_of_their_keys() -> None:
    """Equal situations, equal states, however one got there."""
    table = {1: "a", 3: "c"}
    insert(table, 2, "b")
    insert(table, 3, "d")
    assert list(table.items()) == [(1, "a"), (2, "b"), (3, "d")]


@pytest.mark.parametrize("reply", [PutPasidGot(1, reclaimed=False), ReadPrqGot(1, (), False)])
def test_err_an_answer_that_no_task_waits_for_is_our_own_bug(
    reply: PutPasidGot | ReadPrqGot,
) -> None:
    hands = fresh()
    with pytest.raises(KeyError):
        hands.give(reply, CORE)
