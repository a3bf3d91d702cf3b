"""The ordered workqueue."""

import msgspec
from msgspec import structs

from actors.ordered_workqueue import Inbox, OrderedWorkqueue
from protocol.effects import Send
from protocol.machine import Machine
from protocol.messages import AnyMessage, HostLost, QueueWork, RunWork, Start, WorkDone
from protocol.names import CORE, IOMMU, SUPERVISOR, WORKQUEUE, Name
from tests.helpers import sent, step

VDCM = "vdcm.dsa0"
MACHINE = Machine(units=(), devices=(), vms=())


def empty() -> OrderedWorkqueue:
    """Nothing queued, nothing running."""
    return OrderedWorkqueue.of(MACHINE, WORKQUEUE)


def hand(
    queue: OrderedWorkqueue, message: Inbox, sender: Name = IOMMU
) -> list[tuple[Name, AnyMessage]]:
    """What it sends upon a message; work comes through the core, in its owner's name."""
    if isinstance(message, QueueWork):
        message = structs.replace(message, owner=sender)
        sender = CORE
    out = step(queue, message, sender, name=WORKQUEUE)
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(queue), type=OrderedWorkqueue)
    assert restored == queue
    return [(effect.to, effect.message) for effect in sent(out) if isinstance(effect, Send)]


def busy() -> OrderedWorkqueue:
    """svm:1 of the driver runs, drain:2 of the VDCM and svm:3 of the driver wait."""
    queue = empty()
    hand(queue, QueueWork("svm:1", 1, 11))
    hand(queue, QueueWork("drain:2", 2, 12), VDCM)
    hand(queue, QueueWork("svm:3", 3, 13))
    return queue


def test_the_first_work_runs_at_once_with_what_it_was_queued_with() -> None:
    assert hand(empty(), QueueWork("svm:1", 1, 11)) == [(IOMMU, RunWork("svm:1", 1, 11))]


def test_works_run_one_at_a_time_in_the_order_of_queueing() -> None:
    queue = busy()
    assert hand(queue, QueueWork("svm:4", 4, 14)) == []
    assert hand(queue, WorkDone("svm:1")) == [(VDCM, RunWork("drain:2", 2, 12))]
    assert hand(queue, WorkDone("drain:2"), VDCM) == [(IOMMU, RunWork("svm:3", 3, 13))]
    assert hand(queue, WorkDone("svm:3")) == [(IOMMU, RunWork("svm:4", 4, 14))]
    assert hand(queue, WorkDone("svm:4")) == []
    assert queue == empty()


def test_work_that_is_queued_already_is_not_queued_again() -> None:
    queue = busy()
    hand(queue, QueueWork("svm:3", 3, 99))
    assert queue == busy()


def test_works_of_two_owners_with_one_name_are_two() -> None:
    queue = busy()
    hand(queue, QueueWork("svm:3", 3, 13), VDCM)
    assert len(queue.queued) == 3


def test_work_that_runs_may_be_queued_again() -> None:
    queue = empty()
    hand(queue, QueueWork("svm:1", 1, 11))
    assert hand(queue, QueueWork("svm:1", 1, 12)) == []
    assert hand(queue, WorkDone("svm:1")) == [(IOMMU, RunWork("svm:1", 1, 12))]


def test_the_queued_work_of_a_lost_owner_is_dropped() -> None:
    queue = busy()
    assert hand(queue, HostLost(VDCM), SUPERVISOR) == []
    assert hand(queue, WorkDone("svm:1")) == [(IOMMU, RunWork("svm:3", 3, 13))]


def test_the_running_work_of_a_lost_owner_is_given_up_and_the_next_runs() -> None:
    queue = busy()
    assert hand(queue, HostLost(IOMMU), SUPERVISOR) == [(VDCM, RunWork("drain:2", 2, 12))]
    assert hand(queue, WorkDone("drain:2"), VDCM) == []
    assert (queue.queued, queue.running) == ([], [])


def test_what_a_lost_owner_had_sent_comes_too_late() -> None:
    """Its messages may still be under way when its loss is announced."""
    queue = busy()
    hand(queue, HostLost(IOMMU), SUPERVISOR)
    assert hand(queue, WorkDone("svm:1")) == []
    assert hand(queue, QueueWork("svm:5", 5, 15)) == []
    assert [item.work for item in queue.running] == ["drain:2"]
    assert queue.queued == []


def test_start_is_silent() -> None:
    queue = busy()
    assert hand(queue, Start(), SUPERVISOR) == []
    assert queue == busy()


def test_nothing_in_it_can_fail_and_it_cannot_be_lost_alone() -> None:
    assert OrderedWorkqueue.SITES == ()
    assert not OrderedWorkqueue.LOSABLE
