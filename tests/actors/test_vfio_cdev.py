"""VFIO's device files by hand: who waits for whom, and in what order a close takes things away.

What wrong calls are answered is in tests/conformance/misuse.toml, rows 84 to 92.
"""

from typing import Final, cast

import msgspec

from actors.vfio_cdev import Inbox, VfioCdev
from protocol.domains import Group
from protocol.effects import CALM, Chance, Send
from protocol.errors import Errno
from protocol.machine import IOMMUFD, Device, Machine, Unit
from protocol.messages import AnyMessage, Done, Refused
from protocol.messages.iommu_core import ResetDone, ResetPrepare
from protocol.messages.iommufd import (
    AttachPt,
    BindDevice,
    DetachPt,
    ObjectGot,
    PtGot,
    ReplacePt,
    UnbindDevice,
)
from protocol.messages.vfio_cdev import (
    ATTACH_PASID,
    AttachIommufdPt,
    BindIommufd,
    CdevGot,
    CloseCdev,
    DetachIommufdPt,
    OpenCdev,
)
from tests.helpers import Failing, step

USER: Final = "caller1"
CONTEXT: Final = "caller1.iommufd"
OBJECT, PT = 4, 9
BY_PASID: Final = (ATTACH_PASID,)
MACHINE: Final = Machine(
    units=(Unit("u"),),
    devices=tuple(Device(name, "u", driver="vfio") for name in ("d1", "d2", "d3")),
    vms=(),
    groups=(Group("g", ("d1", "d2")),),
    stack=IOMMUFD,
    callers=(USER,),
)


class Hands:
    """VFIO, whose questions are answered when they are asked, but those of `hold`."""

    def __init__(self) -> None:
        self.vfio = VfioCdev.of(MACHINE, "vfio")
        self.hold: tuple[type, ...] = ()
        self.waiting: list[Send] = []
        self.asked: list[str] = []
        self.answers: dict[int, AnyMessage] = {}
        self.chance: Chance = CALM

    def ask(self, request: Inbox) -> AnyMessage | None:
        """The answer, if it has come."""
        self.deliver(request, USER)
        return self.answers.get(request.call)  # type: ignore[union-attr]

    def deliver(self, message: Inbox, sender: str) -> None:
        """Until nothing moves any more; the state survives being stored."""
        out = step(self.vfio, message, sender, self.chance, "vfio")
        stored = msgspec.msgpack.encode(self.vfio)
        assert msgspec.msgpack.decode(stored, type=VfioCdev) == self.vfio
        for sent in cast("list[Send]", out.effects):
            if sent.to == USER:
                self.answers[sent.message.call] = sent.message  # type: ignore[union-attr]
                continue
            self.asked.append(said(sent.message))
            if isinstance(sent.message, self.hold):
                self.waiting.append(sent)
            else:
                self.deliver(answer_to(sent.message), sent.to)

    def go_on(self) -> None:
        """What is held is answered."""
        self.hold = ()
        waiting, self.waiting = self.waiting, []
        for sent in waiting:
            self.deliver(answer_to(sent.message), sent.to)

    def bound(self, device: str = "d1") -> int:
        """A file of the device, bound to the user's context."""
        opened = self.ask(OpenCdev(1, device))
        assert isinstance(opened, CdevGot)
        assert self.ask(BindIommufd(2, opened.file)) == ObjectGot(2, OBJECT)
        self.asked.clear()
        return opened.file

    def attach(self, file: int, *pasids: int) -> None:
        for pasid in pasids:
            assert self.ask(AttachIommufdPt(3, file, PT, pasid, BY_PASID)) == PtGot(3, PT)
        self.asked.clear()


def answer_to(message: AnyMessage) -> Inbox:
    match message:
        case BindDevice(call=call):
            return ObjectGot(call, OBJECT)
        case AttachPt(call=call, pt=pt) | ReplacePt(call=call, pt=pt):
            return PtGot(call, pt)
        case _:
            return Done(message.call)  # type: ignore[union-attr]


def said(message: AnyMessage) -> str:
    match message:
        case AttachPt(pasid=pasid) | ReplacePt(pasid=pasid) | DetachPt(pasid=pasid):
            return f"{type(message).__name__} {pasid}"
        case _:
            return type(message).__name__


def test_a_close_resets_the_device_then_detaches_in_ascending_order_then_unbinds() -> None:
    """S28: the RID is the last, whenever it was attached."""
    hands = Hands()
    file = hands.bound()
    assert hands.ask(AttachIommufdPt(3, file, PT)) == PtGot(3, PT)
    hands.attach(file, 9, 5)
    assert hands.ask(CloseCdev(4, file)) == Done(4)
    order = ["ResetPrepare", "ResetDone", "DetachPt 5", "DetachPt 9", "DetachPt 0", "UnbindDevice"]
    assert hands.asked == order
    assert hands.vfio == VfioCdev.of(MACHINE, "vfio")


def test_a_device_whose_lock_somebody_has_is_closed_without_a_reset() -> None:
    hands = Hands()
    file = hands.bound()
    hands.chance = Failing("vfio_cdev.close.reset")
    assert hands.ask(CloseCdev(4, file)) == Done(4)
    assert hands.asked == ["UnbindDevice"]


def test_a_close_waits_for_the_call_that_is_under_way_on_the_file() -> None:
    """The descriptor is gone at once; the file, when nobody uses it any more."""
    hands = Hands()
    file = hands.bound()
    hands.hold = (AttachPt,)
    assert hands.ask(AttachIommufdPt(3, file, PT, 5, BY_PASID)) is None
    assert hands.ask(CloseCdev(4, file)) is None
    assert hands.ask(DetachIommufdPt(5, file)) == Refused(5, Errno.EBADF)
    assert hands.ask(CloseCdev(6, file)) == Refused(6, Errno.EBADF)
    assert hands.asked == ["AttachPt 5"]
    hands.go_on()
    assert (hands.answers[3], hands.answers[4]) == (PtGot(3, PT), Done(4))
    assert hands.asked[-2:] == ["DetachPt 5", "UnbindDevice"]


def test_a_file_that_is_bound_while_it_is_closed_is_taken_down() -> None:
    hands = Hands()
    assert hands.ask(OpenCdev(1, "d1")) == CdevGot(1, 1)
    hands.hold = (BindDevice,)
    assert hands.ask(BindIommufd(2, 1)) is None
    assert hands.ask(CloseCdev(4, 1)) is None
    hands.go_on()
    assert hands.answers[4] == Done(4)
    assert hands.asked[-1] == "UnbindDevice"


def test_devices_that_are_reset_together_wait_for_each_other_and_others_do_not() -> None:
    hands = Hands()
    one, two, apart = hands.bound("d1"), hands.bound("d2"), hands.bound("d3")
    hands.hold = (AttachPt,)
    assert hands.ask(AttachIommufdPt(3, one, PT)) is None
    assert hands.ask(DetachIommufdPt(4, two)) is None
    assert hands.ask(DetachIommufdPt(5, apart)) == Done(5)
    hands.go_on()
    assert hands.answers[4] == Done(4)


def test_err_a_refused_attach_leaves_the_set_as_it_was_and_a_refused_replace_too() -> None:
    hands = Hands()
    file = hands.bound()
    hands.attach(file, 5)
    hands.hold = (AttachPt, ReplacePt)
    for pasid in (5, 6):
        hands.ask(AttachIommufdPt(3, file, PT, pasid, BY_PASID))
        (question,) = hands.waiting
        hands.waiting = []
        call = question.message.call  # type: ignore[union-attr]
        hands.deliver(Refused(call, Errno.EBUSY), CONTEXT)
        assert hands.answers[3] == Refused(3, Errno.EBUSY)
        assert hands.vfio.devices["d1"].pasids == [5]
    assert hands.asked == ["ReplacePt 5", "AttachPt 6"]


def test_a_reset_that_is_refused_keeps_nobody_from_closing() -> None:
    """A device that has left its group is only warned of."""
    hands = Hands()
    file = hands.bound()
    hands.hold = (ResetPrepare, ResetDone, UnbindDevice)
    assert hands.ask(CloseCdev(4, file)) is None
    for _ in range(3):
        (question,) = hands.waiting
        hands.waiting = []
        call = question.message.call  # type: ignore[union-attr]
        hands.deliver(Refused(call, Errno.ENODEV), question.to)
    assert hands.answers[4] == Done(4)
