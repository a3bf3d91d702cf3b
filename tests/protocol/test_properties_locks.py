"""Properties of locks: L5 and O15, and N14 where a caller is atomic in what it calls."""

import pytest

from protocol.facts import (
    Event,
    LockReleased,
    LockTaken,
    LockWaited,
    NotificationHandled,
    ThreadEntered,
)
from tests.protocol.stories import Story

MUTEX = "pasid_mutex"
CORE_LOCK = "ioasid_allocator_lock"


def taken(lock: str, task: str) -> LockTaken:
    return LockTaken(lock, "mutex", task)


def waited(lock: str, task: str) -> LockWaited:
    return LockWaited(lock, "mutex", task)


def let_go(lock: str, task: str) -> LockReleased:
    return LockReleased(lock, "mutex", task)


def told(name: str, *facts: tuple[str, Event]) -> list[str]:
    """What the property says to the facts, each with its actor."""
    story = Story(name)
    for actor, fact in facts:
        story.then(actor, fact)
    assert story.owed() == []
    return story.said


# --- L5 -------------------------------------------------------------------------------------------

BIND_HOLDS = ("iommu", taken(MUTEX, "bind:3"))
FREE_HOLDS = ("core", taken(CORE_LOCK, "vfio/5"))
BIND_WAITS = ("core", waited(CORE_LOCK, "iommu/3"))
HANDLER_WAITS = ("iommu", waited(MUTEX, "notify:1"))


@pytest.mark.parametrize("last", [[BIND_WAITS, HANDLER_WAITS], [HANDLER_WAITS, BIND_WAITS]])
def test_err_bind_and_free_wait_for_each_other(last: list[tuple[str, Event]]) -> None:
    """S4: the handler runs in the thread of the free, which holds the core's lock."""
    (sentence,) = told("no-deadlock", BIND_HOLDS, FREE_HOLDS, *last)
    assert sentence.startswith("deadlock at input ")
    assert "vfio:5 waits for pasid_mutex, held by iommu:3" in sentence
    assert "iommu:3 waits for ioasid_allocator_lock, held by vfio:5" in sentence


def test_a_handler_of_a_core_without_a_lock_keeps_nobody_waiting() -> None:
    assert told("no-deadlock", BIND_HOLDS, BIND_WAITS, HANDLER_WAITS) == []


def test_a_handler_that_runs_later_is_nobody_s() -> None:
    """The chain of the free is over: who is called after it is called by somebody else."""
    over = ("core", let_go(CORE_LOCK, "vfio/5"))
    bind = ("core", taken(CORE_LOCK, "iommu/4"))
    assert told("no-deadlock", BIND_HOLDS, FREE_HOLDS, over, bind, HANDLER_WAITS) == []


def test_err_a_thread_waits_for_what_it_holds_itself() -> None:
    again = ("iommu", waited(MUTEX, "bind:3"))
    (sentence,) = told("no-deadlock", BIND_HOLDS, again)
    assert sentence.endswith(": iommu:3 waits for pasid_mutex, held by iommu:3")


def test_waiting_for_one_who_does_not_wait_ends() -> None:
    second = ("iommu", waited(MUTEX, "unbind:4"))
    third = ("iommu", waited(MUTEX, "unbind:6"))
    mine = ("iommu", taken(MUTEX, "unbind:4"))
    free = ("iommu", let_go(MUTEX, "bind:3"))
    again = ("iommu", waited(MUTEX, "bind:3"))
    assert told("no-deadlock", BIND_HOLDS, second, third, free, mine, again) == []


def test_a_circle_of_others_is_said_once() -> None:
    third = ("iommu", waited(MUTEX, "unbind:9"))
    said = told("no-deadlock", BIND_HOLDS, FREE_HOLDS, BIND_WAITS, HANDLER_WAITS, third)
    assert len(said) == 1


# --- O15 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts",
    [
        [("vfio", taken("pasid_lock:vm1", "bind:1")), ("iommu", taken(MUTEX, "bind:1"))],
        [BIND_HOLDS, ("core", taken(CORE_LOCK, "iommu/3"))],
        [("core", taken(CORE_LOCK, "iommu/3")), ("iommu", taken(MUTEX, "bind:4"))],
        [("iommu", taken("iommu->lock", "teardown:1")), ("iommu", taken(MUTEX, "teardown:1"))],
        [BIND_HOLDS, ("iommu", let_go(MUTEX, "bind:3")), ("iommu", taken(MUTEX, "bind:4"))],
    ],
)
def test_locks_that_are_taken_one_in_the_other(facts: list[tuple[str, Event]]) -> None:
    assert told("locks-in-order", *facts) == []


@pytest.mark.parametrize("last", [waited, taken])
def test_err_a_handler_takes_the_mutex_under_the_core_s_lock(last: type[Event]) -> None:
    (sentence,) = told("locks-in-order", FREE_HOLDS, ("iommu", last(MUTEX, "notify:1")))
    assert sentence.startswith("vfio:5 takes pasid_mutex with ioasid_allocator_lock held, at ")


def test_err_a_handler_lets_go_of_the_binder_s_mutex() -> None:
    """S3, where the core's lock is not held: the handler is a thread of its own."""
    (sentence,) = told("locks-in-order", BIND_HOLDS, ("iommu", let_go(MUTEX, "notify:1")))
    assert sentence.startswith("iommu:notify:1 lets go of pasid_mutex, which iommu:3 holds, at ")


def test_err_a_mutex_is_let_go_twice() -> None:
    """S3, where the handler runs in the binder's own thread."""
    chain = ("core", taken(CORE_LOCK, "iommu/3"))
    handler = ("iommu", let_go(MUTEX, "notify:1"))
    binder = ("iommu", let_go(MUTEX, "bind:3"))
    (sentence,) = told("locks-in-order", BIND_HOLDS, chain, handler, binder)
    assert sentence.startswith("iommu:3 lets go of pasid_mutex, which nobody holds, at ")


# --- N14 ------------------------------------------------------------------------------------------


def test_err_an_atomic_caller_takes_the_core_s_mutex() -> None:
    """S5: the caller is in an RCU callback."""
    callback = ("vfio", LockTaken("rcu_callback", "softirq", "release:2"))
    (sentence,) = told("atomic-code-never-sleeps", callback, ("core", taken(CORE_LOCK, "vfio/2")))
    assert sentence.startswith("core took mutex ioasid_allocator_lock in task vfio/2 at ")
    assert sentence.endswith(", with softirq rcu_callback held")


def test_a_handler_on_a_blocking_chain_may_sleep() -> None:
    handled = ("iommu", NotificationHandled("FREE", 5, 1, "notify:1"))
    waits = ("iommu", waited(MUTEX, "notify:1"))
    assert told("atomic-code-never-sleeps", FREE_HOLDS, handled, waits) == []


# --- The modern stack -----------------------------------------------------------------------------


def entered(task: str, thread: str) -> ThreadEntered:
    return ThreadEntered(task, thread)


SVA_HOLDS = (
    ("uacce.d1", taken("uacce:d1", "4")),
    ("sva", taken("iommu_sva_lock", "uacce.d1/4")),
    ("sva", entered("0", "uacce.d1/4")),
    ("iommu_core", taken("group:g", "sva/0")),
    ("iommu_core", entered("2", "sva/0")),
)


def test_a_thread_goes_through_several_actors() -> None:
    inner = ("intel_iommu", taken("domain->lock pt1", "iommu_core/2"))
    assert told("locks-in-order", *SVA_HOLDS, inner) == []


@pytest.mark.parametrize("lock", ["uacce:d1", "group:h", "iommu_sva_lock"])
def test_err_who_waits_inside_for_what_it_holds_outside(lock: str) -> None:
    waits = ("intel_iommu", waited(lock, "iommu_core/2"))
    if lock == "group:h":
        assert told("no-deadlock", *SVA_HOLDS, waits) == []
        return
    (said,) = told("no-deadlock", *SVA_HOLDS, waits)
    assert f"uacce.d1:4 waits for {lock}, held by uacce.d1:4" in said
    assert told("locks-in-order", *SVA_HOLDS, waits)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("group:g", "igroup:f.g"),
        ("group:g", "iommu_sva_lock"),
        ("fault:f.1", "igroup:f.g"),
        ("cache_lock pt1", "dev_set:1"),
        ("fault_param:d1", "queue:u"),
    ],
)
def test_err_locks_of_7_3_the_wrong_way_round(outer: str, inner: str) -> None:
    (said,) = told("locks-in-order", ("a", taken(outer, "1")), ("a", taken(inner, "1")))
    assert said.startswith(f"a:1 takes {inner} with {outer} held, at ")
    assert told("locks-in-order", ("a", taken(inner, "1")), ("a", taken(outer, "1"))) == []


def test_locks_of_no_common_order_may_be_nested_either_way() -> None:
    for one, other in (("queue:u", "group:g"), ("group:g", "queue:u"), ("a", "b")):
        assert told("locks-in-order", ("a", taken(one, "1")), ("a", taken(other, "1"))) == []


ATTACHES = (
    ("iommu_core", taken("group:g", "caller1/7")),
    ("iommu_core", ThreadEntered("2", "caller1/7")),
    ("iommu", ThreadEntered("attach:3", "iommu_core/2")),
    ("iommu", taken("domain->lock p", "attach:3")),
)


def test_err_a_spinlock_of_the_driver_is_held_in_the_thread_of_whoever_attaches() -> None:
    (said,) = told("locks-in-order", *ATTACHES, ("vfio", waited("dev_set:g", "caller1/7")))
    assert said.startswith("caller1:7 takes dev_set:g with group:g held, at ")
    (said,) = told("locks-in-order", *ATTACHES[1:], ("vfio", waited("dev_set:g", "caller1/7")))
    assert said.startswith("caller1:7 takes dev_set:g with domain->lock p held, at ")


def test_a_task_of_the_same_number_runs_in_a_thread_of_its_own() -> None:
    later = (
        ("iommu", let_go("domain->lock p", "attach:3")),
        ("iommu", ThreadEntered("prq:3", "prq:dmar0/0")),
        ("iommu", taken("iopf_lock dmar0", "prq:3")),
        ("iommu_core", taken("group:h", "caller1/7")),
    )
    assert told("locks-in-order", *ATTACHES[1:], *later) == []
