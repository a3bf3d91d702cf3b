"""A process of a modern kernel: its mms, their notifiers, its threads' MSRs, its way out."""

import msgspec
import pytest

from actors.process.sva_mm import NOMEM_NOTIFIER, STRAY
from actors.process.sva_process import Inbox, SvaProcess
from protocol.effects import Send, SetTimer
from protocol.errors import Errno
from protocol.facts import MmFreed
from protocol.facts.accelerators import EnqcmdFaulted, MmMade
from protocol.machine import Device, Machine, Unit
from protocol.messages import (
    AnyMessage,
    DescriptorDone,
    Done,
    DupFiles,
    EnqcmdWrite,
    EnqcmdWriteGot,
    HostLost,
    Kill,
    Refused,
    ReleaseFds,
    Start,
    Status,
    SubmitDescriptor,
    TimerFired,
)
from protocol.messages.accelerators import (
    BeginChild,
    CloseFile,
    GetMmPasid,
    HoldMm,
    InitMmPasid,
    LetMmGo,
    MmPasidGot,
    OpenDevice,
    OpenDeviceGot,
    UseFile,
)
from protocol.messages.address_spaces import (
    HandleMmFault,
    InvalidateSecondaryTlbs,
    PutMmuNotifier,
    RegisterMmuNotifier,
    ReleaseMm,
)
from protocol.messages.sva import MmPasidDrop
from protocol.names import INVALID_PASID, IOMMU, SUPERVISOR, SVA_CORE, Name
from protocol.plan import Plan, Step
from tests.helpers import Failing, step

MACHINE = Machine(
    (Unit("dmar0"),),
    (
        Device("d1", "dmar0", 16, driver="idxd"),
        Device("d2", "dmar0", 16, wq="dedicated", driver="uacce"),
    ),
    (),
    processes=("proc1", "proc2"),
    stack="iommufd",
)
DOMAIN = "SVA@dmar0.proc1.1"
Sent = list[tuple[Name, AnyMessage]]


def process(*steps: Step, forked: bool = False) -> SvaProcess:
    return SvaProcess.of(MACHINE, "proc1", Plan(steps=steps, forked=forked))


def hand(one: SvaProcess, message: Inbox, sender: Name = SUPERVISOR) -> Sent:
    """What it sends upon a message; its state survives being stored."""
    out = step(one, message, sender, name="proc1")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=SvaProcess) == one
    return [(it.to, it.message) for it in out.effects if isinstance(it, Send)]


def opened(*steps: Step) -> SvaProcess:
    """It has d1 open and mapped, and its mm tells one domain."""
    one = process(Step("open", device="d1"), *steps)
    assert hand(one, Start()) == [("idxd.d1", OpenDevice(3, "proc1"))]
    assert hand(one, HoldMm(1, "proc1"), "idxd.d1") == [("idxd.d1", Done(1))]
    assert hand(one, RegisterMmuNotifier(7, "proc1", DOMAIN), IOMMU) == [(IOMMU, Done(7))]
    mmap = UseFile(3, 1, "proc1", "mmap")
    assert hand(one, OpenDeviceGot(3, 1), "idxd.d1") == [("idxd.d1", mmap)]
    return one


def enqcmd(pasid: int, tag: int = 1, page: int = 1) -> EnqcmdWrite:
    return EnqcmdWrite(3, "proc1", pasid, 50, tag, page, mapped=True)


def test_the_first_enqcmd_of_a_thread_faults_and_is_mended_once() -> None:
    one = opened(Step("dma", device="d1", count=2))
    assert hand(one, Done(3), "idxd.d1") == [(SVA_CORE, GetMmPasid(3, "proc1"))]
    assert hand(one, MmPasidGot(3, 5, 50), SVA_CORE) == [("d1", enqcmd(5))]
    assert hand(one, EnqcmdWriteGot(3, accepted=True), "d1") == [("d1", enqcmd(5, 2, 2))]


def test_err_a_thread_without_a_pasid_or_that_was_activated_gets_its_signal() -> None:
    one = opened(Step("dma", device="d1"))
    hand(one, Done(3), "idxd.d1")
    out = step(one, MmPasidGot(3, INVALID_PASID, 0), SVA_CORE, name="proc1")
    assert EnqcmdFaulted("proc1:1", "proc1", 0, activated=False) in out.facts

    one = opened(Step("dma", device="d1"))
    one.threads[1].activated = True
    out = step(one, Done(3), "idxd.d1", name="proc1")
    assert EnqcmdFaulted("proc1:1", "proc1", 0, activated=True) in out.facts


def test_an_address_space_is_taken_down_before_files_are_closed_and_the_struct_goes_last() -> None:
    one = opened()
    hand(one, Done(3), "idxd.d1")
    assert hand(one, Kill(), "proc2") == [(IOMMU, ReleaseMm(1, DOMAIN))]
    assert hand(one, HandleMmFault(9, "proc1", 1), "iopf") == [("iopf", Refused(9, Errno.EFAULT))]
    assert hand(one, Done(1), IOMMU) == [("idxd.d1", CloseFile(1, 1, mapping=True))]
    exit_files = [("idxd.d1", ReleaseFds("proc1")), ("uacce.d2", ReleaseFds("proc1"))]
    assert hand(one, Done(1), "idxd.d1") == exit_files
    assert hand(one, LetMmGo("proc1"), "idxd.d1") == []
    assert hand(one, TimerFired("lazy-tlb:proc1")) == []
    assert hand(one, PutMmuNotifier(8, "proc1", DOMAIN), IOMMU) == []
    gone = hand(one, TimerFired("grace:0"))
    assert gone == [(IOMMU, Done(8)), (SVA_CORE, MmPasidDrop(3, "proc1"))]
    out = step(one, Done(3), SVA_CORE, name="proc1")
    assert (out.facts, one.mms) == ([MmFreed("proc1")], {})


def test_a_notifier_that_is_put_is_not_called_and_a_callback_is_waited_for() -> None:
    one = opened()
    hand(one, Done(3), "idxd.d1")
    hand(one, Kill(), "proc2")
    out = step(one, PutMmuNotifier(8, "proc1", DOMAIN), IOMMU, name="proc1")
    assert out.effects == [SetTimer("grace:0")]
    assert hand(one, TimerFired("grace:0")) == []
    sent = hand(one, Done(1), IOMMU)
    assert (IOMMU, Done(8)) in sent

    one = opened()
    hand(one, Done(3), "idxd.d1")
    hand(one, PutMmuNotifier(8, "proc1", DOMAIN), IOMMU)
    assert hand(one, Kill(), "proc2") == [("idxd.d1", CloseFile(1, 1, mapping=True))]


def test_err_nobody_registers_with_an_mm_that_has_no_users() -> None:
    one = process(Step("exit"))
    hand(one, Start())
    register = RegisterMmuNotifier(7, "proc1", DOMAIN)
    assert hand(one, register, IOMMU) == [(IOMMU, Refused(7, Errno.EINVAL))]
    assert hand(one, HoldMm(7, "proc1"), IOMMU) == [(IOMMU, Refused(7, Errno.EINVAL))]
    one = process()
    hand(one, Start())
    out = step(one, register, IOMMU, Failing(NOMEM_NOTIFIER.name), "proc1")
    assert out.effects == [Send(IOMMU, Refused(7, Errno.ENOMEM))]


@pytest.mark.parametrize(("page", "there"), [(1, False), (2, True), (STRAY, False)])
def test_a_fault_is_mended_where_something_is_mapped(page: int, *, there: bool) -> None:
    one = opened(Step("unmap", count=1))
    flush = InvalidateSecondaryTlbs(3, DOMAIN, 1)
    assert hand(one, Done(3), "idxd.d1") == [(IOMMU, flush)]
    assert hand(one, Done(3), IOMMU) == []
    answer = Done(9) if there else Refused(9, Errno.EFAULT)
    assert hand(one, HandleMmFault(9, "proc1", page), "iopf") == [("iopf", answer)]


def test_more_permission_is_told_of_as_a_whole() -> None:
    one = opened(Step("upgrade"))
    assert hand(one, Done(3), "idxd.d1") == [(IOMMU, InvalidateSecondaryTlbs(3, DOMAIN, 0))]


def test_fork_gives_a_child_the_descriptors_and_an_mm_without_a_pasid() -> None:
    one = opened(Step("fork", owner="proc2"))
    assert hand(one, Done(3), "idxd.d1") == [("idxd.d1", DupFiles(3, "proc2"))]
    assert hand(one, Done(3), "idxd.d1") == [("uacce.d2", DupFiles(3, "proc2"))]
    init = InitMmPasid(3, "proc2", "proc1")
    assert hand(one, Done(3), "uacce.d2") == [(SVA_CORE, init)]
    assert hand(one, Done(3), SVA_CORE) == [("proc2", BeginChild(("idxd.d1",), (1,)))]

    child = process(Step("poll", device="d1"), forked=True)
    assert hand(child, Start()) == []
    poll = UseFile(3, 1, "proc1", "poll")
    assert hand(child, BeginChild(("idxd.d1",), (1,)), "proc2") == [("idxd.d1", poll)]


def test_exec_begins_with_a_new_mm_and_closes_what_the_old_one_had() -> None:
    one = opened(Step("clone"), Step("exec"), Step("open", device="d1"))
    init = InitMmPasid(3, "proc1.mm2", "")
    assert hand(one, Done(3), "idxd.d1") == [(SVA_CORE, init)]
    one.threads[1].activated = True
    out = step(one, Done(3), SVA_CORE, name="proc1")
    assert MmMade("proc1", "proc1.mm2", "exec") in out.facts
    assert out.effects == [Send(IOMMU, ReleaseMm(1, DOMAIN))]
    assert (list(one.threads), one.threads[1].activated) == ([1], False)
    assert hand(one, Done(1), IOMMU) == [("idxd.d1", CloseFile(1, 1, mapping=True))]
    assert hand(one, Done(1), "idxd.d1") == [("idxd.d1", CloseFile(3, 1, mapping=False))]
    assert hand(one, Done(3), "idxd.d1") == [("idxd.d1", OpenDevice(3, "proc1.mm2"))]


def test_a_dedicated_queue_needs_no_msr() -> None:
    one = process(Step("open", device="d2"), Step("dma", device="d2"))
    hand(one, Start())
    hand(one, OpenDeviceGot(3, 1), "uacce.d2")
    submit = SubmitDescriptor(1, 1, mapped=True, mm="proc1")
    assert hand(one, Done(3), "uacce.d2") == [("d2", submit)]
    hand(one, DescriptorDone("d2", 1, Status.SUCCESS), "d2")
    assert one.tasks == {}


def test_a_device_that_was_pulled_out_completes_nothing() -> None:
    one = opened(Step("dma", device="d1"), Step("dma", device="d1"), Step("dma", device="d2"))
    hand(one, Done(3), "idxd.d1")
    hand(one, MmPasidGot(3, 5, 50), SVA_CORE)
    assert hand(one, HostLost("d1")) == []
    assert (one.tasks, one.position) == ({}, 4)
