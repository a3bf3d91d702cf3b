"""A wire between one user and the allocator: it loses an answer, or hands it over twice.

Requests it carries as they are.  When it has lost an answer it asks again, at a timer, so that the
allocator is handed the same request a second time: that is what *at least once* means.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, Self, TypeAlias, assert_never

from experiments.models.refcount import ALLOCATOR, ROUNDS_B
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.machine import Machine
from protocol.messages import (
    Done,
    FreePasid,
    GetPasid,
    HostLost,
    PutPasid,
    PutPasidGot,
    Start,
    TimerFired,
)
from protocol.names import Name

WIRE: Final = "wire"
USER: Final = "user1"
"""Who is behind it."""
LOSE: Final = Site("wire.answer.lose", Errno.ETIMEDOUT)
DOUBLE: Final = Site("wire.answer.double", Errno.EEXIST)
AGAIN: Final = "ask again"

Request: TypeAlias = GetPasid | PutPasid | FreePasid
Answer: TypeAlias = Done | PutPasidGot
WireInbox: TypeAlias = Start | HostLost | Request | Answer | TimerFired


@dataclass(slots=True)
class Wire:
    """Until `spent` it may lose or double an answer; `asked` is the last request."""

    SITES: ClassVar[tuple[Site, ...]] = (LOSE, DOUBLE)
    LOSABLE: ClassVar[bool] = False

    asked: Request | None = None
    spent: bool = False

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        return cls()

    def handle(self, message: WireInbox, sender: Name, out: Out) -> None:
        match message:
            case GetPasid() | PutPasid() | FreePasid():
                self.asked = message
                out.send(ALLOCATOR, message)
            case Done() | PutPasidGot():
                self.on_answer(message, out)
            case TimerFired():
                assert self.asked is not None
                out.send(ALLOCATOR, self.asked)
            case Start() | HostLost():
                pass  # It only carries; and nobody is ever lost here.
            case _:
                assert_never(message)

    def on_answer(self, answer: Answer, out: Out) -> None:
        if not self.spent and out.may_fail(LOSE):
            self.spent = True
            out.set_timer(AGAIN)
            return
        out.send(USER, answer)
        if not self.spent and out.may_fail(DOUBLE):
            self.spent = True
            out.send(USER, answer)


@dataclass(slots=True)
class FinalWire(Wire):
    """Model E.  `before`: answers before the last, which is lost; `heals`: only once."""

    SITES: ClassVar[tuple[Site, ...]] = ()

    before: int = 2 * ROUNDS_B - 1
    retry: bool = True
    heals: bool = True

    def on_answer(self, answer: Answer, out: Out) -> None:
        if self.before or (self.spent and self.heals):
            self.before = max(0, self.before - 1)
            out.send(USER, answer)
            return
        self.spent = True
        if self.retry:
            out.set_timer(AGAIN)
