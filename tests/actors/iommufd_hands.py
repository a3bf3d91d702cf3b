"""An iommufd context to test with: core and driver agree unless they are told to refuse."""

from typing import Final, cast

import msgspec

from actors.iommufd import Iommufd
from actors.iommufd.inbox import Inbox
from protocol.effects import CALM, Chance, Send
from protocol.errors import Errno
from protocol.facts import Event
from protocol.machine import Machine
from protocol.messages import AnyMessage, Done, Refused
from protocol.messages.iommu_core import (
    AttachDevicePasid,
    AttachGroupHandle,
    AttachHandleGet,
    AttachHandleGot,
    DetachDevicePasid,
    DetachGroupHandle,
    ReplaceDevicePasid,
    ReplaceGroupHandle,
)
from protocol.messages.iommufd import (
    AllocDomain,
    AllocHwpt,
    AllocIoas,
    AllocNestedDomain,
    BindDevice,
    DeliverFault,
    DomainGot,
    ObjectGot,
    Proceed,
    ReportFault,
    RespondFault,
)
from protocol.names import IOPF, KERNEL, Name
from tests.helpers import step

NAME = "iommufd"
IOAS, DEV, ONE, TWO = range(1, 5)
FLAGS: Final = ("PASID",)
USER = "user"


class Hands:
    """The context, and who is around it: `slots` is what the core has, by group and PASID.

    `refuse` has the errno of the next question of a class; those of `hold` are not answered and are
    in `waiting`.
    """

    def __init__(self, kind: type[Iommufd] = Iommufd) -> None:
        self.context = kind.of(Machine((), (), ()), NAME)
        self.slots: dict[tuple[Name, int], Name] = {}
        self.refuse: dict[type, Errno] = {}
        self.hold: tuple[type, ...] = ()
        self.waiting: list[Send] = []
        self.asked: list[AnyMessage] = []
        self.facts: list[Event] = []
        self.chance: Chance = CALM
        self.answers: dict[int, AnyMessage] = {}
        self.calls = 100

    def ask(self, request: AnyMessage) -> AnyMessage | None:
        """The answer to a request of the user, if it has come."""
        self.deliver(request, USER)
        return self.answers.get(request.call)  # type: ignore[union-attr]

    def made(self, request: AnyMessage) -> int:
        """The id of what is made."""
        got = self.ask(request)
        assert isinstance(got, ObjectGot), got
        return got.id

    def deliver(self, message: AnyMessage, sender: Name) -> None:
        """Until nothing moves any more; the state survives being stored."""
        queue = [(message, sender)]
        while queue:
            given, whose = queue.pop(0)
            out = step(self.context, cast("Inbox", given), whose, self.chance, NAME)
            stored = msgspec.msgpack.encode(self.context)
            assert msgspec.msgpack.decode(stored, type=type(self.context)) == self.context
            self.facts += out.facts
            for sent in out.effects:
                assert isinstance(sent, Send), "a context sets no timer"
                if sent.to in (USER, KERNEL):
                    self.answers[sent.message.call] = sent.message  # type: ignore[union-attr]
                elif isinstance(sent.message, self.hold):
                    self.waiting.append(sent)
                else:
                    queue += self.reply(sent)

    def go_on(self, *, held: bool = False) -> None:
        """What waits is answered."""
        self.hold = (object,) if held else ()
        waiting, self.waiting = self.waiting, []
        for sent in waiting:
            for message, sender in self.reply(sent):
                self.deliver(message, sender)

    def reply(self, sent: Send) -> list[tuple[AnyMessage, Name]]:
        """What core or driver answer."""
        message = sent.message
        if isinstance(message, Proceed):
            return [(message, NAME)]
        if sent.to == IOPF and isinstance(message, Done | Refused):
            self.answers[message.call] = message
            return []
        self.asked.append(message)
        call: int = message.call  # type: ignore[union-attr]
        errno = self.refuse.pop(type(message), None)
        answer = Refused(call, errno) if errno is not None else self.agreed(message, call)
        return [(answer, sent.to)]

    def agreed(self, message: AnyMessage, call: int) -> AnyMessage:
        """The core keeps its table, the driver makes domains."""
        match message:
            case AttachGroupHandle() | ReplaceGroupHandle():
                self.slots[message.group, 0] = message.handle
            case AttachDevicePasid() | ReplaceDevicePasid():
                self.slots[group_of(message.device), message.pasid] = message.handle
            case DetachGroupHandle():
                del self.slots[message.group, 0]
            case DetachDevicePasid():
                del self.slots[group_of(message.device), message.pasid]
            case AttachHandleGet():
                handle = self.slots.get((message.group, message.pasid))
                if handle is None:
                    return Refused(call, Errno.ENOENT)
                return AttachHandleGot(call, handle)
            case AllocDomain() | AllocNestedDomain():
                self.calls += 1
                return DomainGot(call, f"domain{self.calls}")
            case ReportFault():
                handle = self.slots.get((group_of(message.device), message.pasid))
                if handle is None:
                    return Refused(call, Errno.EINVAL)
                self.fault(handle, message)
            case _:
                pass
        return Done(call)

    def fault(self, handle: Name, report: ReportFault) -> None:
        """A page request goes to the context."""
        self.calls += 1
        where = (report.device, report.pasid, report.number)
        self.deliver(DeliverFault(self.calls, handle, *where), IOPF)


def group_of(device: Name) -> Name:
    """dev1a and dev1b are of the group dev1."""
    return device.rstrip("ab")


def furnished() -> Hands:
    """An IOAS, a device, two page tables made for PASIDs."""
    hands = Hands()
    assert hands.made(AllocIoas(1)) == IOAS
    assert hands.made(BindDevice(1, "dev1", "dev1")) == DEV
    assert hands.made(AllocHwpt(1, DEV, IOAS, FLAGS)) == ONE
    assert hands.made(AllocHwpt(1, DEV, IOAS, FLAGS)) == TWO
    return hands


def users(hands: Hands, *ids: int) -> list[int]:
    """Of these."""
    return [hands.context.objects[at].users for at in ids]


def responses(hands: Hands) -> list[tuple[int, int]]:
    """Number and code of what was answered."""
    return [(one.number, one.code) for one in hands.asked if isinstance(one, RespondFault)]
