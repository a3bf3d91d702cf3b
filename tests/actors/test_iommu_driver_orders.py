"""Requests and answers in random orders: nothing deadlocks, nothing is left behind."""

from collections import Counter
from random import Random

import pytest

from actors.iommu_driver.state import Work
from protocol.errors import Errno
from protocol.facts import LockReleased, LockTaken, MemoryAllocated, MemoryFreed, MemoryUsed
from protocol.messages import (
    AttachData,
    AttachDomain,
    AttachSpid,
    DetachDomain,
    DrainRequests,
    DrainRequestsGot,
    GetPasid,
    NotifyReply,
    PageResponse,
    QueueWork,
    Refused,
    ResponseCode,
    WorkDone,
    WriteEntry,
)
from protocol.names import CORE, WORKQUEUE
from tests.actors.iommu_driver_hands import (
    Hands,
    bind_of,
    free_of,
    fresh,
    request_of,
    run_of,
    unbind_of,
)
from tests.helpers import Failing

DEVICES = ("dsa0", "dsa1", "dsa2")
PASIDS = (5, 6)
REFUSABLE = (GetPasid, AttachData, WriteEntry, AttachSpid)


def ask(hands: Hands, random: Random, call: int) -> bool:
    """One request.  Whether it wants an answer."""
    device, pasid = random.choice(DEVICES), random.choice(PASIDS)
    match random.randrange(8):
        case 0 | 1 | 2:
            hands.give(bind_of(device, pasid, call=call))
        case 3 | 4:
            hands.give(unbind_of(device, pasid, call=call))
        case 5:
            unit = "dmar1" if device == "dsa1" else "dmar0"
            hands.ring(request_of(device, group=call, pasid=pasid), unit=unit)
            return False
        case 6:
            hands.give(free_of(pasid, call=call), CORE)
        case _:
            hands.give(PageResponse(call, "vm1", device, pasid, 0, call - 3, ResponseCode.SUCCESS))
    return True


def go_on(hands: Hands, random: Random, queued: list[int]) -> None:
    """One of the things that can happen now."""
    choices = len(hands.open) + bool(hands.timers) + bool(queued)
    chosen = random.randrange(choices)
    if chosen < len(hands.open):
        to, call = hands.open.pop(chosen)
        if isinstance(call, REFUSABLE) and random.random() < 0.15:
            hands.give(Refused(call.call, random.choice([Errno.EBUSY, Errno.ENOMEM])), to)
        elif isinstance(call, DrainRequests) and random.random() < 0.2:
            hands.give(DrainRequestsGot(call.call, overflow=True), to)
        else:
            hands.give(hands.reply_to(to, call), to)
    elif hands.timers and chosen == len(hands.open):
        hands.run_thread()
    else:
        hands.give(run_of(queued[0]), WORKQUEUE)


def turns(hands: Hands) -> list[int]:
    """The PASIDs whose work is queued, in order; the first is to run unless one runs already."""
    begun = any(isinstance(task, Work) for task in hands.driver.tasks.values())
    queued = [message.pasid for _, message in hands.sent if isinstance(message, QueueWork)]
    done = sum(isinstance(message, WorkDone) for _, message in hands.sent)
    return [] if begun else queued[done:]


@pytest.mark.parametrize("seed", range(60))
def test_every_order_comes_to_an_end_and_leaves_nothing(seed: int) -> None:
    random = Random(seed)
    hands = fresh(Failing("iommu.bind.sdev") if seed % 10 == 0 else Failing())
    asked, wanted = 0, {*range(41, 47), *range(51, 54), *range(61, 64)}
    while asked < 40 or hands.open or hands.timers or turns(hands):
        if asked < 40 and (random.random() < 0.3 or not (hands.open or hands.timers)):
            asked += 1
            wanted |= {asked} if ask(hands, random, asked) else set()
        elif hands.open or hands.timers or turns(hands):
            go_on(hands, random, turns(hands))

    for call, (device, pasid) in enumerate([(d, p) for d in DEVICES for p in PASIDS], start=41):
        hands.give(unbind_of(device, pasid, call=call))
    for call, device in enumerate(DEVICES, start=51):
        hands.give(DetachDomain(call, "vm1", device))
    hands.settle()
    for call, device in enumerate(DEVICES, start=61):
        hands.give(AttachDomain(call, "vm1", device))

    assert hands.state() == fresh().state()
    replies = [message for _, message in hands.sent if isinstance(message, NotifyReply)]
    answers = Counter(reply.call for reply in (*hands.got(), *replies))
    assert set(answers) == wanted
    assert set(answers.values()) == {1}
    check_facts(hands)


def check_facts(hands: Hands) -> None:
    """One holder of the mutex at a time, and no use of memory that is not there."""
    holder, memory = "", dict[str, bool]()
    for fact in hands.facts:
        match fact:
            case LockTaken():
                assert holder == ""
                holder = fact.task
            case LockReleased():
                assert holder == fact.task
                holder = ""
            case MemoryAllocated():
                assert fact.object not in memory
                memory[fact.object] = True
            case MemoryUsed():
                assert fact.object in memory
            case MemoryFreed():
                del memory[fact.object]
            case _:
                pass
    assert holder == ""
    assert memory == {}
