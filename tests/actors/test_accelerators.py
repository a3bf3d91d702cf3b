"""The drivers of accelerators in a modern kernel: what open takes, and what release gives back."""

import msgspec
import pytest

from actors.accelerators import Accelerator, Inbox
from actors.accelerators.idxd import Idxd
from actors.accelerators.state import NOMEM, NOMEM_TABLE, SET_PASID
from actors.accelerators.uacce import SvaUacce
from protocol.domains import DMA, domain_name
from protocol.effects import Send, Site
from protocol.errors import Errno
from protocol.machine import Device, Machine, Unit
from protocol.messages import (
    AnyMessage,
    Done,
    DupFiles,
    EnqcmdWriteGot,
    HostLost,
    Refused,
    ReleaseFds,
    Start,
)
from protocol.messages.accelerators import (
    CloseFile,
    GetMmPasid,
    HoldMm,
    LetMmGo,
    MmPasidGot,
    OpenDevice,
    OpenDeviceGot,
    PutQueue,
    StartQueue,
    UseFile,
    WriteDescriptor,
)
from protocol.messages.device import DisableWq, DrainPasid, EnableWq, EnqcmdWrite, WqMode
from protocol.messages.iommu_core import (
    AllocGlobalPasid,
    AllocGlobalPasidGot,
    AttachDevicePasid,
    DetachDevicePasid,
    FreeGlobalPasid,
)
from protocol.messages.sva import SvaBindDevice, SvaBindDeviceGot, SvaUnbindDevice
from protocol.names import IOMMU_CORE, SUPERVISOR, SVA_CORE, Name
from tests.helpers import Failing, step

H = "d1:proc1"
Sent = list[tuple[Name, AnyMessage]]


def machine(driver: str, wq: str = "shared", *, system: bool = False) -> Machine:
    device = Device("d1", "dmar0", 16, wq=wq, driver=driver, system_pasid=system)
    return Machine((Unit("dmar0"),), (device,), (), processes=("proc1", "proc2"), stack="iommufd")


def idxd(wq: str = "shared", *, system: bool = False) -> Idxd:
    return Idxd.of(machine("idxd", wq, system=system), "idxd.d1")


def uacce() -> SvaUacce:
    return SvaUacce.of(machine("uacce"), "uacce.d1")


def hand(
    door: Accelerator, message: Inbox, sender: Name = "proc1", *, failing: Site | None = None
) -> Sent:
    """What it sends upon a message; its state survives being stored."""
    out = step(door, message, sender, name="door", chance=Failing(failing.name if failing else ""))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(door), type=type(door)) == door
    return [(one.to, one.message) for one in out.effects if isinstance(one, Send)]


def opening(door: Accelerator, mm: Name = "proc1", *, failing: Site | None = None) -> Sent:
    """An open, up to the answer to what it asks after the mm's PASID is known."""
    hand(door, Start(), SUPERVISOR)
    assert hand(door, OpenDevice(3, mm)) == [("proc1", HoldMm(1, mm))]
    assert hand(door, Done(1)) == [(SVA_CORE, SvaBindDevice(1, "d1", mm))]
    got = hand(door, SvaBindDeviceGot(1, H), SVA_CORE)
    assert got == [(SVA_CORE, GetMmPasid(1, mm))]
    return hand(door, MmPasidGot(1, 5, 50), SVA_CORE, failing=failing)


def opened(door: Accelerator) -> Accelerator:
    """proc1 has the device open, as file 1."""
    answer = opening(door)
    if isinstance(door, Idxd):
        assert answer == [("d1", EnableWq(1, "proc1", door.mode, 5, 50))]
        answer = hand(door, Done(1), "d1")
    assert answer == [("proc1", OpenDeviceGot(3, 1))]
    return door


def test_release_gives_back_what_open_has_taken_and_the_mm_last() -> None:
    door = opened(idxd())
    assert hand(door, CloseFile(4, 1, mapping=False)) == [("d1", DisableWq(1, "proc1", abort=True))]
    assert hand(door, Done(1), "d1") == [(SVA_CORE, SvaUnbindDevice(1, H))]
    assert hand(door, Done(1), SVA_CORE) == [("proc1", LetMmGo("proc1")), ("proc1", Done(4))]
    assert door.files == {}


def test_a_mapping_keeps_the_file() -> None:
    door = opened(idxd())
    assert hand(door, UseFile(4, 1, "proc1", "mmap")) == [("proc1", Done(4))]
    assert hand(door, CloseFile(5, 1, mapping=False)) == [("proc1", Done(5))]
    assert hand(door, CloseFile(6, 1, mapping=False)) == [("proc1", Refused(6, Errno.EBADF))]
    assert hand(door, CloseFile(7, 1, mapping=True))[0][0] == "d1"


def test_a_second_file_shares_the_queue_and_only_drains_it() -> None:
    door = opened(idxd())
    assert opening(door) == [("proc1", OpenDeviceGot(3, 2))]
    drain = DrainPasid(1, 5, 50, abort=True)
    assert hand(door, CloseFile(4, 2, mapping=False)) == [("d1", drain)]


def test_what_a_process_leaves_behind_is_released() -> None:
    door = opened(uacce())
    hand(door, StartQueue(4, 1))
    hand(door, Done(1), "d1")
    assert hand(door, ReleaseFds("proc1")) == [("d1", DisableWq(1, "proc1", abort=True))]
    assert hand(door, Done(1), "d1") == [(SVA_CORE, SvaUnbindDevice(1, H))]
    assert hand(door, Done(1), SVA_CORE) == [("proc1", LetMmGo("proc1"))]
    assert hand(door, DupFiles(5, "proc1"), "proc2") == [("proc2", Refused(5, Errno.EINVAL))]


def test_err_each_failure_of_an_open_undoes_all_once() -> None:
    door = idxd()
    assert opening(door, failing=NOMEM_TABLE) == [(SVA_CORE, SvaUnbindDevice(1, H))]
    undone = hand(door, Done(1), SVA_CORE)
    assert undone == [("proc1", LetMmGo("proc1")), ("proc1", Refused(3, Errno.ENOMEM))]
    assert door.files == {}

    door = idxd("dedicated")
    assert opening(door, failing=SET_PASID) == [(SVA_CORE, SvaUnbindDevice(1, H))]
    assert hand(door, Done(1), SVA_CORE)[-1] == ("proc1", Refused(3, Errno.EIO))

    door = idxd()
    opening(door)
    assert hand(door, Refused(1, Errno.EBUSY), "d1") == [(SVA_CORE, SvaUnbindDevice(1, H))]
    assert hand(door, Done(1), SVA_CORE)[-1] == ("proc1", Refused(3, Errno.EBUSY))

    door = idxd()
    hand(door, Start(), SUPERVISOR)
    refused = hand(door, OpenDevice(3, "proc1"), failing=NOMEM)
    assert refused == [("proc1", Refused(3, Errno.ENOMEM))]
    hand(door, OpenDevice(3, "proc1"))
    hand(door, Done(1))
    refused = hand(door, Refused(1, Errno.ENOSPC), SVA_CORE)
    assert refused == [("proc1", LetMmGo("proc1")), ("proc1", Refused(3, Errno.ENOSPC))]


def test_err_a_dedicated_queue_is_one_files() -> None:
    door = opened(idxd("dedicated"))
    assert hand(door, OpenDevice(4, "proc2"), "proc2") == [("proc2", Refused(4, Errno.EBUSY))]


@pytest.mark.parametrize(
    "use",
    [
        UseFile(4, 1, "proc2", "mmap"),
        UseFile(4, 1, "proc2", "poll"),
        WriteDescriptor(4, 1, "proc2", 1, mapped=True),
    ],
)
def test_err_an_inherited_file_of_idxd_is_of_no_use(use: UseFile | WriteDescriptor) -> None:
    door = opened(idxd())
    assert hand(door, use, "proc2") == [("proc2", Refused(4, Errno.EBADF))]
    assert hand(door, DupFiles(5, "proc2")) == [("proc1", Done(5))]
    assert hand(door, use, "proc2") == [("proc2", Refused(4, Errno.EPERM))]


def test_a_descriptor_is_written_with_the_files_pasid() -> None:
    door = opened(idxd())
    sent = hand(door, WriteDescriptor(4, 1, "proc1", 7, mapped=True))
    write = EnqcmdWrite(1, "proc1", 5, 50, (1 << 20) + 1, 7, mapped=True)
    assert sent == [("d1", write)]
    assert hand(door, EnqcmdWriteGot(1, accepted=False), "d1") == [
        ("proc1", Refused(4, Errno.EAGAIN))
    ]


def test_a_queue_of_uacce_goes_from_init_to_started_to_zombie() -> None:
    door = opened(uacce())
    assert hand(door, StartQueue(4, 1)) == [("d1", EnableWq(1, "proc1", WqMode.SHARED, 5, 50))]
    assert hand(door, Done(1), "d1") == [("proc1", Done(4))]
    assert hand(door, StartQueue(5, 1)) == [("proc1", Refused(5, Errno.EINVAL))]
    assert hand(door, PutQueue(6, 1)) == [("d1", DisableWq(1, "proc1", abort=True))]
    assert hand(door, Done(1), "d1") == [("proc1", Done(6))]
    assert hand(door, PutQueue(7, 1)) == [("proc1", Refused(7, Errno.EINVAL))]
    assert hand(door, WriteDescriptor(8, 1, "proc1", 1, mapped=True)) == [
        ("proc1", Refused(8, Errno.EINVAL))
    ]


@pytest.mark.parametrize(
    ("door", "answer"),
    [(uacce(), Refused(6, Errno.EPERM)), (idxd(), Done(6))],
    ids=["uacce", "idxd"],
)
def test_a_mapping_of_uacce_stays_where_it_is(door: Accelerator, answer: Done | Refused) -> None:
    """Without a mapping there is nothing to move: EFAULT is mremap's own."""
    opened(door)
    move = UseFile(4, 1, "proc1", "mremap")
    assert hand(door, move) == [("proc1", Refused(4, Errno.EFAULT))]
    hand(door, UseFile(5, 1, "proc1", "mmap"))
    assert hand(door, UseFile(6, 1, "proc1", "mremap")) == [("proc1", answer)]


def test_a_removed_device_of_uacce_leaves_nothing_bound() -> None:
    door = opened(uacce())
    assert hand(door, HostLost("d1"), SUPERVISOR) == [(SVA_CORE, SvaUnbindDevice(1, H))]
    assert hand(door, StartQueue(4, 1)) == []
    assert hand(door, Done(1), SVA_CORE) == [
        ("proc1", LetMmGo("proc1")),
        ("proc1", Refused(4, Errno.ENXIO)),
    ]
    assert hand(door, OpenDevice(5, "proc1")) == [("proc1", Refused(5, Errno.EINVAL))]
    assert hand(door, CloseFile(6, 1, mapping=False)) == [("proc1", Done(6))]


def test_a_device_that_goes_while_it_is_waited_for_is_waited_for_no_more() -> None:
    door = opened(idxd())
    hand(door, CloseFile(4, 1, mapping=False))
    assert hand(door, HostLost("d1"), SUPERVISOR) == [(SVA_CORE, SvaUnbindDevice(1, H))]
    assert hand(door, Done(1), SVA_CORE)[-1] == ("proc1", Done(4))
    assert hand(door, OpenDevice(5, "proc1")) == [("proc1", Refused(5, Errno.ENODEV))]


def test_a_system_pasid_is_attached_without_a_handle_and_detached_before_it_is_freed() -> None:
    door, domain = idxd(system=True), domain_name(DMA, "dmar0", "d1")
    assert hand(door, Start(), SUPERVISOR) == [(IOMMU_CORE, AllocGlobalPasid(1, "d1"))]
    attach = AttachDevicePasid(1, "d1", 1, 10, domain, "")
    assert hand(door, AllocGlobalPasidGot(1, 1, 10), IOMMU_CORE) == [(IOMMU_CORE, attach)]
    assert hand(door, Done(1), IOMMU_CORE) == []
    detach = DetachDevicePasid(1, "d1", 1, 10, domain)
    assert hand(door, HostLost("d1"), SUPERVISOR) == [(IOMMU_CORE, detach)]
    assert hand(door, Done(1), IOMMU_CORE) == [(IOMMU_CORE, FreeGlobalPasid(1, 1, 10))]


def test_err_a_system_pasid_that_cannot_be_attached_is_freed_before_anybody_opens() -> None:
    door = idxd(system=True)
    hand(door, Start(), SUPERVISOR)
    hand(door, AllocGlobalPasidGot(1, 1, 10), IOMMU_CORE)
    assert hand(door, OpenDevice(3, "proc1")) == []
    free = hand(door, Refused(1, Errno.ENOMEM), IOMMU_CORE)
    assert free == [(IOMMU_CORE, FreeGlobalPasid(1, 1, 10))]
    assert hand(door, Done(1), IOMMU_CORE) == [("proc1", HoldMm(1, "proc1"))]
