"""The driver of an accelerator's files."""

import msgspec

from actors.uacce import Inbox, Uacce
from protocol.effects import Send
from protocol.errors import Errno
from protocol.facts import Event, FileDropped, FileHeld, FileReleased
from protocol.machine import Device, Machine, Unit
from protocol.messages import (
    AnyMessage,
    BindFile,
    BindMm,
    BindMmGot,
    DisableWq,
    Done,
    DupFiles,
    EnableWq,
    HostLost,
    OpenFile,
    PutFile,
    Refused,
    ReleaseFds,
    Start,
    UnbindFile,
    UnbindMm,
    WqMode,
)
from protocol.names import IOMMU, SUPERVISOR, Name
from tests.helpers import step

NAME = "uacce.dsa0"
MACHINE = Machine((Unit("dmar0"),), (Device("dsa0", "dmar0"),), (), processes=("proc1", "proc2"))
UNBIND = (IOMMU, UnbindMm(1, "proc1", "dsa0", 5, 50))


def hand(door: Uacce, message: Inbox, sender: Name = "proc1") -> list[tuple[Name, AnyMessage]]:
    """What it sends upon a message; its state survives being stored."""
    out = step(door, message, sender, name=NAME)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(door), type=Uacce) == door
    return [(effect.to, effect.message) for effect in out.effects if isinstance(effect, Send)]


def stated(door: Uacce, message: Inbox, sender: Name = "proc1") -> list[Event]:
    """What it states."""
    return list(step(door, message, sender, name=NAME).facts)


def opened() -> Uacce:
    """The first process has it open."""
    door = Uacce.of(MACHINE, NAME)
    assert hand(door, Start(), SUPERVISOR) == []
    assert hand(door, OpenFile(3)) == [("proc1", Done(3))]
    return door


def bound() -> Uacce:
    """And bound to its mm, which has PASID 5."""
    door = opened()
    hand(door, BindFile(3))
    hand(door, BindMmGot(1, 5, 50), IOMMU)
    hand(door, Done(1), "dsa0")
    return door


def test_bind_takes_the_mm_first_and_then_a_queue_with_its_pasid() -> None:
    door = opened()
    assert hand(door, BindFile(3)) == [(IOMMU, BindMm(1, "proc1", "dsa0"))]
    enable = EnableWq(1, "proc1", WqMode.SHARED, 5, 50)
    assert hand(door, BindMmGot(1, 5, 50), IOMMU) == [("dsa0", enable)]
    assert hand(door, Done(1), "dsa0") == [("proc1", Done(3))]


def test_unbind_stops_dma_before_it_unbinds() -> None:
    door = bound()
    assert hand(door, UnbindFile(4)) == [("dsa0", DisableWq(1, "proc1", abort=False))]
    assert hand(door, Done(1), "dsa0") == [UNBIND]
    assert hand(door, Done(1), IOMMU) == [("proc1", Done(4))]
    assert hand(door, UnbindFile(4)) == [("proc1", Refused(4, Errno.EINVAL))]


def test_the_last_holder_releases_the_file() -> None:
    door = bound()
    assert hand(door, PutFile(4, mapping=False)) == [("proc1", Done(4))]
    assert hand(door, PutFile(5, mapping=True)) == [("dsa0", DisableWq(1, "proc1", abort=True))]
    assert hand(door, Done(1), "dsa0") == [UNBIND]
    assert stated(door, Done(1), IOMMU) == [FileReleased("dsa0", "proc1")]
    assert door == Uacce.of(MACHINE, NAME)


def test_a_file_that_is_not_bound_is_released_at_once() -> None:
    door = opened()
    hand(door, PutFile(4, mapping=True))
    assert stated(door, PutFile(5, mapping=False)) == [
        FileDropped("dsa0", "proc1", "proc1"),
        FileReleased("dsa0", "proc1"),
    ]
    assert hand(door, PutFile(6, mapping=False)) == [("proc1", Done(6))]


def test_a_child_has_the_descriptor_and_not_the_mapping() -> None:
    door = opened()
    assert stated(door, DupFiles(3, "proc2")) == [FileHeld("dsa0", "proc1", "proc2")]
    assert stated(door, DupFiles(3, "proc2")) == []
    assert hand(door, PutFile(4, mapping=True)) == [("proc1", Done(4))]
    assert hand(door, PutFile(4, mapping=False)) == [("proc1", Done(4))]
    assert hand(door, PutFile(4, mapping=False)) == [("proc1", Done(4))]
    assert stated(door, PutFile(4, mapping=False), "proc2")[-1] == FileReleased("dsa0", "proc1")


def test_what_a_dead_process_holds_goes_file_by_file_and_nobody_is_answered() -> None:
    door = bound()
    hand(door, DupFiles(3, "proc2"))
    hand(door, OpenFile(3), "proc2")
    hand(door, PutFile(4, mapping=True), "proc2")
    hand(door, PutFile(4, mapping=True))
    hand(door, PutFile(4, mapping=False))
    assert hand(door, ReleaseFds("proc2"), "proc2") == [("dsa0", DisableWq(1, "proc1", abort=True))]
    assert hand(door, Done(1), "dsa0") == [UNBIND]
    assert hand(door, Done(1), IOMMU) == []
    assert door.files == {}
    assert hand(door, ReleaseFds("proc2"), "proc2") == []


def test_err_nothing_is_handed_down_to_the_dead() -> None:
    door = opened()
    hand(door, ReleaseFds("proc2"), "proc2")
    assert hand(door, DupFiles(3, "proc2")) == [("proc1", Refused(3, Errno.EINVAL))]


def test_err_what_does_not_fit() -> None:
    door = Uacce.of(MACHINE, NAME)
    assert hand(door, BindFile(3)) == [("proc1", Refused(3, Errno.EINVAL))]
    assert hand(door, UnbindFile(3)) == [("proc1", Refused(3, Errno.EINVAL))]
    door = bound()
    assert hand(door, OpenFile(3)) == [("proc1", Refused(3, Errno.EBUSY))]
    assert hand(door, BindFile(3)) == [("proc1", Refused(3, Errno.EBUSY))]


def test_err_a_bind_that_the_driver_refuses() -> None:
    door = opened()
    hand(door, BindFile(3))
    assert hand(door, Refused(1, Errno.ENOSPC), IOMMU) == [("proc1", Refused(3, Errno.ENOSPC))]
    assert door.files["proc1"].bond is None


def test_requests_wait_for_one_another() -> None:
    door = opened()
    hand(door, BindFile(3))
    assert hand(door, OpenFile(3), "proc2") == []
    assert hand(door, Refused(1, Errno.ENOSPC), IOMMU) == [
        ("proc1", Refused(3, Errno.ENOSPC)),
        ("proc2", Done(3)),
    ]
    assert hand(door, HostLost("vm1.guest"), SUPERVISOR) == []
