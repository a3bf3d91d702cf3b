"""A fault core to test with: a core with slots, contexts and mms that do as they are told."""

from typing import Final, cast

import msgspec

from actors.iopf import Inbox, Iopf
from protocol.domains import Group
from protocol.effects import CALM, Chance, SetTimer
from protocol.errors import Errno
from protocol.facts import Event
from protocol.machine import Device, Machine, Unit
from protocol.messages import AnyMessage, Done, Refused, ResponseCode, TimerFired
from protocol.messages.address_spaces import (
    AddIopfDevice,
    FlushIopfDevice,
    HandleMmFault,
    RemoveIopfDevice,
    ReportPageRequest,
    RespondPageRequest,
)
from protocol.messages.guests import SettleAnswers
from protocol.messages.iommu_core import AttachHandleGet, AttachHandleGot
from protocol.messages.iommufd import DeliverFault, RespondFault
from protocol.names import IOMMU, IOPF, SUPERVISOR, Name
from tests.helpers import step

MACHINE: Final = Machine(
    units=(Unit("dmar0"), Unit("dmar1")),
    devices=(
        Device("d1", "dmar0"),
        Device("d2", "dmar0"),
        Device("e1", "dmar1"),
        Device("n0", ""),
    ),
    vms=(),
    processes=("proc1",),
    groups=(Group("g", ("d1", "d2")),),
)
CONTEXT: Final = "caller1.iommufd"
SVA: Final = ("g:proc1", "SVA@dmar0.proc1.1")
FAULTY: Final = (f"{CONTEXT}.h1", f"UNMANAGED@dmar0.{CONTEXT}.1+iopf")
PLAIN: Final = (f"{CONTEXT}.h2", f"UNMANAGED@dmar0.{CONTEXT}.2")
NESTED: Final = (f"{CONTEXT}.h3", f"NESTED@dmar0.{CONTEXT}.3+iopf")


class Hands:
    """The fault core, and who is around it: `slots` by group and PASID.

    `pages` of the mm are there; a context takes groups unless it is told to `refuse`.  `hold` are
    classes of questions that are not answered yet, and wait in `waiting`.
    """

    def __init__(self, kind: type[Iopf] = Iopf) -> None:
        self.iopf = kind.of(MACHINE, IOPF)
        self.slots: dict[tuple[Name, int], tuple[Name, Name]] = {}
        self.pages: tuple[int, ...] = (1, 2, 3)
        self.refuse = False
        self.hold: tuple[type, ...] = ()
        self.waiting: list[tuple[AnyMessage, Name]] = []
        self.timers: list[str] = []
        self.chance: Chance = CALM
        self.facts: list[Event] = []
        self.delivered: list[DeliverFault] = []
        self.handled: list[tuple[Name, int]] = []
        self.responses: list[tuple[Name, int, ResponseCode]] = []
        self.answers: dict[int, AnyMessage] = {}

    def ask(self, request: AnyMessage, sender: Name = IOMMU) -> AnyMessage | None:
        """The answer, if it has come."""
        self.answers.pop(request.call, None)  # type: ignore[union-attr]
        self.deliver(request, sender)
        return self.answers.get(request.call)  # type: ignore[union-attr]

    def deliver(self, message: AnyMessage, sender: Name) -> None:
        """Until nothing moves any more; the state survives being stored."""
        queue = [(message, sender)]
        while queue:
            given, whose = queue.pop(0)
            out = step(self.iopf, cast("Inbox", given), whose, self.chance, IOPF)
            stored = msgspec.msgpack.encode(self.iopf)
            assert msgspec.msgpack.decode(stored, type=type(self.iopf)) == self.iopf
            self.facts += out.facts
            for sent in out.effects:
                if isinstance(sent, SetTimer):
                    self.timers.append(sent.timer)
                elif isinstance(sent.message, self.hold):
                    self.waiting.append((sent.message, sent.to))
                else:
                    queue += self.reply(sent.message, sent.to)

    def go_on(self) -> None:
        """What waits is answered."""
        self.hold = ()
        waiting, self.waiting = self.waiting, []
        for message, to in waiting:
            for answer, sender in self.reply(message, to):
                self.deliver(answer, sender)

    def work(self, at: int = 0) -> None:
        """A worker runs: that of the timer at this place."""
        self.deliver(TimerFired(self.timers.pop(at)), SUPERVISOR)

    def reply(self, message: AnyMessage, to: Name) -> list[tuple[AnyMessage, Name]]:
        """What core, context or mm answer; what the driver gets is noted."""
        match message:
            case AttachHandleGet():
                found = self.slots.get((message.group, message.pasid))
                if found is None or not found[1].startswith(message.kind):
                    return [(Refused(message.call, Errno.ENOENT), to)]
                return [(AttachHandleGot(message.call, *found), to)]
            case DeliverFault():
                assert to == CONTEXT
                if self.refuse:
                    return [(Refused(message.call, Errno.EINVAL), to)]
                self.delivered.append(message)
                return [(Done(message.call), to)]
            case HandleMmFault():
                self.handled.append((message.mm, message.page))
                if message.page in self.pages:
                    return [(Done(message.call), to)]
                return [(Refused(message.call, Errno.EFAULT), to)]
            case SettleAnswers():
                assert self.responses, "it is about an answer that was given"
                return [(Done(message.call), to)]
            case RespondPageRequest():
                self.responses.append((message.device, message.group, message.code))
                assert message.mapped == (message.code is ResponseCode.SUCCESS)
            case Done() | Refused():
                self.answers[message.call] = message
            case _:
                raise AssertionError(f"nobody is asked {message}")
        return []

    def stated(self, *kinds: type[Event]) -> list[Event]:
        """Facts of these kinds."""
        return [fact for fact in self.facts if isinstance(fact, kinds)]


def report(
    group: int = 1, page: int = 1, *, last: bool = True, pasid: int = 5, device: Name = "d1"
) -> ReportPageRequest:
    """A page request of d1."""
    return ReportPageRequest(1, device, pasid, 7, group, page, last)


def add(device: Name = "d1") -> AddIopfDevice:
    return AddIopfDevice(2, device)


def remove(device: Name = "d1") -> RemoveIopfDevice:
    return RemoveIopfDevice(3, device)


def flush(device: Name = "d1", call: int = 4) -> FlushIopfDevice:
    return FlushIopfDevice(call, device)


def respond(of: DeliverFault, code: int = 0) -> RespondFault:
    """The context has an answer."""
    return RespondFault(9, of.device, of.pasid, of.number, code, of.incarnation, of.group)


def on_queue(*slots: tuple[int, tuple[Name, Name]], kind: type[Iopf] = Iopf) -> Hands:
    """d1 is on its queue, and these are the slots of its group."""
    hands = Hands(kind)
    assert hands.ask(add()) == Done(2)
    hands.slots = {("g", pasid): slot for pasid, slot in slots}
    return hands
