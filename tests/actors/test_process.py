"""A process of the host, its mm, and its way out."""

from collections.abc import Sequence

import msgspec
import pytest

from actors.process import Inbox, Process, way_out
from actors.process.state import Phase
from protocol.effects import Out, Send, SetTimer
from protocol.errors import Errno
from protocol.facts import (
    Event,
    MmFreed,
    MmNotifierUnregistered,
    MsrCleared,
    MsrLoaded,
    OpFail,
    OpInfo,
    OpOk,
    PageTablesFreed,
    ProcessExited,
)
from protocol.machine import Device, Machine, Unit
from protocol.messages import (
    AnyMessage,
    AssignPasid,
    BindFile,
    DescriptorDone,
    Done,
    DupFiles,
    EnqcmdWrite,
    EnqcmdWriteGot,
    FlushFaults,
    Forked,
    FreePasid,
    HostLost,
    Kill,
    LoadMsr,
    MmRelease,
    OpenFile,
    PageRequestReport,
    PageResponse,
    PinMm,
    PinMmGot,
    PutFile,
    Refused,
    RegisterMmNotifier,
    ReleaseFds,
    ResponseCode,
    Start,
    Status,
    SubmitDescriptor,
    TimerFired,
    UnbindFile,
    UnpinMm,
    UnregisterMmNotifier,
)
from protocol.names import CORE, IOMMU, SUPERVISOR, Name
from protocol.plan import Plan, Step
from tests.helpers import step

MACHINE = Machine(
    units=(Unit("dmar0"),),
    devices=(Device("dsa0", "dmar0"), Device("dsa1", "dmar0", wq="dedicated")),
    vms=(),
    processes=("proc1", "proc2"),
)
DOOR = "uacce.dsa0"
REPORT = PageRequestReport("proc1", "dsa0", 5, 50, 0, 7, 9)


def op(text: str, *, wait: bool = True) -> Step:
    """`dma dsa0 2`: operation, device or process, count."""
    operation, *rest = text.split()
    other = rest[0] if rest else ""
    device = other if other.startswith("dsa") else ""
    count = int(rest[1]) if len(rest) > 1 else 1
    return Step(operation, owner="" if device else other, device=device, count=count, wait=wait)


def take(process: Process, message: Inbox, sender: Name = IOMMU) -> Out:
    """One input; the state survives being stored."""
    out = step(process, message, sender, name="proc1")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(process), type=Process) == process
    return out


def hand(process: Process, message: Inbox, sender: Name = IOMMU) -> list[tuple[Name, AnyMessage]]:
    """What it sends upon a message."""
    effects = take(process, message, sender).effects
    return [(effect.to, effect.message) for effect in effects if isinstance(effect, Send)]


def running(*steps: Step, forked: bool = False) -> Process:
    """A process that has been started."""
    process = Process.of(MACHINE, "proc1", Plan(steps=steps, forked=forked))
    take(process, Start(), SUPERVISOR)
    return process


def bound(*steps: Step, device: Name = "dsa0") -> Process:
    """It has a PASID, the driver on its list, the portal mapped and the MSR loaded."""
    process = running(*[op(f"open {device}"), *steps])
    take(process, PinMm(1))
    take(process, AssignPasid(1, 3, 5, 50))
    take(process, RegisterMmNotifier(1))
    take(process, LoadMsr(1, 5, 50))
    take(process, Done(3), f"uacce.{device}")
    return process


def died(process: Process) -> Process:
    """It has been killed, and the callback, if there is one, has returned."""
    take(process, Kill(), "proc2")
    return process


def kinds(facts: Sequence[Event]) -> list[str]:
    return [type(fact).__name__ for fact in facts]


# --- The script -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "request_"), [("open", OpenFile(3)), ("bind", BindFile(3)), ("unbind", UnbindFile(3))]
)
def test_a_system_call_goes_to_the_door_and_its_answer_is_the_outcome(
    text: str, request_: AnyMessage
) -> None:
    process = Process.of(MACHINE, "proc1", Plan(steps=(op(f"{text} dsa0"),)))
    assert hand(process, Start(), SUPERVISOR) == [(DOOR, request_)]
    facts = take(process, Refused(3, Errno.EBUSY), DOOR).facts
    assert facts == [OpFail(1, text, "EBUSY", "", met=True)]
    assert process.mapped == []


def test_close_unmaps_the_portal_first() -> None:
    process = running(op("open dsa0"), op("close dsa0"))
    assert hand(process, Done(3), DOOR) == [(DOOR, PutFile(3, mapping=True))]
    assert process.mapped == ["dsa0"]
    assert hand(process, Done(3), DOOR) == [(DOOR, PutFile(3, mapping=False))]
    assert process.mapped == []
    assert kinds(take(process, Done(3), DOOR).facts) == ["OpOk"]


def test_a_child_gets_the_files_of_every_device_and_then_runs() -> None:
    process = running(op("fork proc2"))
    assert hand(process, Done(3), "uacce.dsa1") == [(DOOR, DupFiles(3, "proc2"))]
    assert hand(process, Done(3), DOOR) == [("proc2", Forked())]


def test_err_a_child_that_has_died_is_not_born() -> None:
    process = running(op("fork proc2"))
    hand(process, Refused(3, Errno.EINVAL), "uacce.dsa1")
    out = take(process, Done(3), DOOR)
    assert out.effects == []
    assert kinds(out.facts) == ["OpFail"]


def test_a_child_does_nothing_before_it_is_forked() -> None:
    process = running(op("open dsa0"), forked=True)
    assert process.phase is Phase.UNBORN
    assert hand(process, Kill(), "proc2") == []  # There is no such process yet.
    assert hand(process, Forked(), "proc2") == [(DOOR, OpenFile(3))]


def test_what_is_async_runs_beside_and_kill_is_just_said() -> None:
    process = Process.of(
        MACHINE, "proc1", Plan(steps=(op("open dsa0", wait=False), op("kill proc2")))
    )
    assert hand(process, Start(), SUPERVISOR) == [(DOOR, OpenFile(3)), ("proc2", Kill())]
    assert hand(process, HostLost("vm1.guest"), SUPERVISOR) == []


# --- Submitting -----------------------------------------------------------------------------------


def command(tag: int, page: int, *, mapped: bool = True) -> tuple[Name, AnyMessage]:
    return ("dsa0", EnqcmdWrite(3, "proc1", 5, 50, tag, page, mapped))


def test_enqcmd_takes_the_pasid_from_the_msr_one_after_the_other() -> None:
    process = running(op("open dsa0"), op("dma dsa0 2"), op("fault dsa0"))
    take(process, LoadMsr(1, 5, 50))
    assert hand(process, Done(3), DOOR) == [command(1, 1)]
    assert hand(process, EnqcmdWriteGot(3, accepted=True), "dsa0") == [command(2, 2)]
    assert take(process, DescriptorDone("dsa0", 1, Status.FAULT), "dsa0").facts == []
    assert hand(process, EnqcmdWriteGot(3, accepted=True), "dsa0") == []
    out = take(process, DescriptorDone("dsa0", 2, Status.SUCCESS), "dsa0")
    assert kinds(out.facts) == ["OpFail", "OpInvoked", "EnqcmdIssued"]
    assert out.effects == [Send(*command(1, (1 << 16) + 1, mapped=False))]
    assert hand(process, DescriptorDone("dsa0", 9, Status.SUCCESS), "dsa0") == []


def test_a_dedicated_queue_takes_them_all_at_once() -> None:
    process = bound(op("dma dsa1 2"), device="dsa1")
    assert [task.flying for task in process.tasks.values()] == [[1, 2]]
    process = running(op("open dsa1"), op("dma dsa1"))
    submitted = SubmitDescriptor(1, 1, mapped=True)
    assert hand(process, Done(3), "uacce.dsa1") == [("dsa1", submitted)]


def test_err_without_portal_or_without_msr_it_is_a_fault() -> None:
    process = running(op("dma dsa0"), op("open dsa0"), op("dma dsa0"))
    assert process.invoked == 2
    out = take(process, Done(3), DOOR)
    assert out.facts[-1] == OpFail(3, "dma", "EFAULT", "", met=True)


def test_err_a_queue_that_takes_no_more() -> None:
    process = bound(op("dma dsa0 2"))
    out = take(process, EnqcmdWriteGot(3, accepted=False), "dsa0")
    assert out.facts[-1] == OpFail(2, "dma", "EAGAIN", "", met=True)


def test_the_msr_is_cleared_when_no_command_with_it_is_on_its_way() -> None:
    process = bound(op("dma dsa0"))
    assert hand(process, LoadMsr(8, 0, 50)) == []
    assert process.msr is not None
    out = take(process, EnqcmdWriteGot(3, accepted=True), "dsa0")
    assert MsrCleared("proc1", 5, 50) in out.facts
    assert out.effects == [Send(IOMMU, Done(8))]
    assert take(process, LoadMsr(9, 0, 50)).facts == []
    assert take(process, LoadMsr(9, 5, 50)).facts == [MsrLoaded("proc1", 5, 50)]


# --- The mm ---------------------------------------------------------------------------------------


def test_a_page_is_faulted_in_for_as_long_as_there_is_an_address_space() -> None:
    process = bound()
    answer = PageResponse(2, "proc1", "dsa0", 5, 50, 7, ResponseCode.SUCCESS)
    assert hand(process, REPORT) == [(IOMMU, answer)]
    assert hand(process, Done(2)) == []
    assert hand(process, FlushFaults(4, "dsa0")) == [(IOMMU, Done(4))]
    died(process)
    invalid = PageResponse(2, "proc1", "dsa0", 5, 50, 7, ResponseCode.INVALID)
    assert hand(process, REPORT) == [(IOMMU, invalid)]
    assert hand(process, PinMm(4)) == [(IOMMU, Refused(4, Errno.EINVAL))]
    assert take(process, LoadMsr(4, 5, 50)).facts == []


def test_the_struct_and_with_it_the_pasid_stays_while_somebody_pins_it() -> None:
    process = bound()
    assert hand(process, PinMm(4)) == [(IOMMU, PinMmGot(4, 5, 50))]
    hand(process, UnpinMm(4))
    died(process)
    hand(process, Done(1))
    assert hand(process, Done(1), DOOR) == [(DOOR, ReleaseFds("proc1")), RELEASE_1]
    assert hand(process, TimerFired("lazy-tlb"), SUPERVISOR) == []
    out = take(process, UnpinMm(5))
    assert out.effects == [Send(IOMMU, Done(5)), Send(CORE, FreePasid(2, 3, 5, 50))]
    assert out.facts == [MmFreed("proc1")]


RELEASE_1 = ("uacce.dsa1", ReleaseFds("proc1"))


# --- The way out ----------------------------------------------------------------------------------


def test_the_hardware_first_then_page_tables_then_mappings_then_files() -> None:
    process = bound(op("exit"))
    out = take(process, UnpinMm(1))  # Its last pin; `exit` came before it.
    assert process.phase is Phase.EXIT_MM
    out = take(process, Done(1))
    assert out.facts == [PageTablesFreed("proc1", 5, 50)]
    assert out.effects == [Send(DOOR, PutFile(1, mapping=True))]
    assert hand(process, Done(1), DOOR) == [(DOOR, ReleaseFds("proc1")), RELEASE_1]


def test_exit_is_over_at_once_and_the_callback_is_asked_for() -> None:
    process = running(op("exit"))
    assert process.phase is Phase.DEAD  # Nobody had it bound: no callback, no mapping.
    process = bound()
    out = take(process, Kill(), "proc2")
    assert out.facts == [ProcessExited("proc1"), MsrCleared("proc1", 5, 50, "exit")]
    assert out.effects == [SetTimer("lazy-tlb"), Send(IOMMU, MmRelease(1, "proc1", 5, 50))]
    assert take(process, Kill(), "proc2").effects == []


def test_system_calls_return_before_it_dies_and_descriptors_are_forgotten() -> None:
    process = bound(op("dma dsa0", wait=False), op("bind dsa0"))
    take(process, EnqcmdWriteGot(3, accepted=True), "dsa0")
    out = take(process, Kill(), "proc2")
    assert kinds(out.facts) == ["ProcessExited", "OpInfo", "OpInfo"]
    assert process.tasks
    out = take(process, Done(4), DOOR)
    assert process.phase is Phase.EXIT_MM
    assert not [fact for fact in out.facts if isinstance(fact, OpOk | OpInfo)]


def test_a_command_on_its_way_retires_before_it_dies() -> None:
    process = bound(op("dma dsa0 2"))
    take(process, Kill(), "proc2")
    out = take(process, EnqcmdWriteGot(3, accepted=True), "dsa0")
    assert kinds(out.facts) == ["EnqcmdRetired", "MsrCleared"]
    assert process.phase is Phase.EXIT_MM


def test_whoever_unregisters_waits_for_the_callback() -> None:
    process = died(bound())
    assert hand(process, UnregisterMmNotifier(6)) == []
    out = take(process, Done(1))
    assert out.facts[0] == MmNotifierUnregistered("proc1", 5, 50)
    assert out.effects[0] == Send(IOMMU, Done(6))
    process = bound()
    assert hand(process, UnregisterMmNotifier(6)) == [(IOMMU, Done(6))]
    assert not process.mm.notifier


def test_a_process_that_never_had_a_pasid_frees_none() -> None:
    process = running(op("exit"))
    out = take(process, TimerFired("lazy-tlb"), SUPERVISOR)
    assert (out.effects, out.facts) == ([], [MmFreed("proc1")])


def test_an_address_space_with_another_user_stays_and_the_files_are_closed_all_the_same() -> None:
    process = bound()
    process.mm.users = 2
    assert hand(process, Kill(), "proc2") == [(DOOR, ReleaseFds("proc1")), RELEASE_1]
    assert process.phase is Phase.DEAD
    out = Out("proc1")
    way_out.put_user(process, out)
    assert out.effects == [Send(IOMMU, MmRelease(1, "proc1", 5, 50))]
    assert hand(process, Done(1)) == [(DOOR, PutFile(1, mapping=True))]
    assert hand(process, Done(1), DOOR) == []
