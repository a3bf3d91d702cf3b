"""What a guest's VMM asks of a context: to wait for page requests, vIOMMUs, vDevices, shares."""

from protocol.errors import Errno
from protocol.facts.guests import VdeviceBuried, VdeviceMade
from protocol.messages import Done, Refused
from protocol.messages.guests import (
    AllocVdevice,
    AllocViommu,
    FaultsTaken,
    PageFault,
    WaitForFaults,
)
from protocol.messages.iommu_core import ClaimDmaOwner, ReleaseDmaOwner
from protocol.messages.iommufd import (
    AllocFaultQueue,
    AllocHwpt,
    AllocIoas,
    AttachPt,
    BindDevice,
    CloseFaultQueue,
    DeliverFault,
    DestroyObject,
    ReadFaults,
    UnbindDevice,
)
from protocol.names import IOPF
from tests.actors.iommufd_hands import DEV, IOAS, Hands, furnished

FAULTY = ("PASID", "FAULT_ID_VALID")


def waiting() -> tuple[Hands, int]:
    """A page table with a fault queue is attached, and somebody waits at the queue."""
    hands = furnished()
    queue = hands.made(AllocFaultQueue(1))
    table = hands.made(AllocHwpt(1, DEV, IOAS, FAULTY, fault=queue))
    hands.ask(AttachPt(2, DEV, 5, table))
    assert hands.ask(WaitForFaults(70, queue, 4)) is None
    return hands, queue


def fault(hands: Hands, number: int) -> None:
    (handle,) = hands.context.handles
    where = ("dev1", 5, number)
    hands.deliver(DeliverFault(90 + number, handle, *where, 3, number, 1, page=64), IOPF)


def test_who_waits_gets_what_comes_and_what_is_there_at_once() -> None:
    hands, queue = waiting()
    fault(hands, 1)
    assert hands.answers[70] == FaultsTaken(70, (PageFault(1, "dev1", 5, 3, 1, 64),))
    fault(hands, 2)
    assert hands.ask(WaitForFaults(71, queue, 4)) == FaultsTaken(
        71, (PageFault(2, "dev1", 5, 3, 2, 64),)
    )


def test_two_who_wait_get_each_request_once() -> None:
    hands, queue = waiting()
    hands.ask(WaitForFaults(71, queue, 4))
    fault(hands, 1)
    assert 70 in hands.answers
    assert 71 not in hands.answers
    fault(hands, 2)
    assert 71 in hands.answers


def test_err_the_file_is_released_or_there_is_none() -> None:
    hands, queue = waiting()
    assert hands.ask(WaitForFaults(72, 99, 4)) == Refused(72, Errno.ENOENT)
    hands.ask(CloseFaultQueue(73, queue))
    assert hands.answers[70] == Refused(70, Errno.ENOENT)
    assert hands.ask(ReadFaults(74, queue, 1)) is not None


def test_a_share_is_claimed_by_nobody_and_released_by_nobody() -> None:
    hands = Hands()
    device = hands.made(BindDevice(1, "dev1", "dev1", shared=True))
    assert hands.ask(UnbindDevice(2, device)) == Done(2)
    assert not any(isinstance(one, ClaimDmaOwner | ReleaseDmaOwner) for one in hands.asked)


def test_a_vdevice_goes_with_its_device_and_its_id_stays() -> None:
    hands = Hands()
    device = hands.made(BindDevice(1, "dev1", "dev1"))
    from_ioas = furnished_in(hands, device)
    viommu = hands.made(AllocViommu(1, device, from_ioas))
    vdevice = hands.made(AllocVdevice(1, viommu, device, 7))
    assert hands.ask(DestroyObject(2, viommu)) == Refused(2, Errno.EBUSY)
    assert hands.ask(DestroyObject(3, vdevice)) == Done(3)
    again = hands.made(AllocVdevice(4, viommu, device, 7))
    assert hands.ask(UnbindDevice(5, device)) == Done(5)
    assert hands.facts.count(VdeviceMade(again, device)) == 2
    assert VdeviceBuried(again) in hands.facts
    assert hands.context.tombstones == [again]
    assert hands.ask(DestroyObject(6, again)) == Refused(6, Errno.ENOENT)
    assert hands.ask(DestroyObject(7, viommu)) == Done(7)


def furnished_in(hands: Hands, device: int) -> int:
    """A parent for nested page tables."""
    from_ = hands.made(AllocIoas(1))
    return hands.made(AllocHwpt(1, device, from_, ("NEST_PARENT", "PASID")))
