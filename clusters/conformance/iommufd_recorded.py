"""A context that knows what it cannot know of a trace: names of handles, cookies, what failed.

Otherwise it is the actor as it is.
"""

from collections.abc import Mapping
from typing import ClassVar, cast

from actors.iommufd import Iommufd
from actors.iommufd.inbox import Inbox, Request
from actors.iommufd.state import Task
from clusters.cluster import ActorClass
from protocol.effects import Out
from protocol.messages.common import Message
from protocol.messages.iommufd import AnswerFault
from protocol.names import Call, Name


class Failing(Message, frozen=True, tag=True):
    """The message, and sites that fail while it is handled."""

    message: Message
    sites: tuple[str, ...]


class AnswerGroup(Message, frozen=True, tag=True):
    """write() to a fault queue with the cookie of that group, which no trace has."""

    call: Call
    fault: int
    device: Name
    pasid: int
    number: int
    code: int


class FailsAt:
    """Only these fail."""

    def __init__(self, sites: tuple[str, ...]) -> None:
        self._sites = sites

    def fails(self, actor: Name, site: str) -> bool:
        """Whether it is one of them."""
        return site in self._sites

    def draw(self, actor: Name, bound: int) -> int:
        """A context draws nothing."""
        return 0


def recorded(kind: ActorClass, domains: Mapping[Name, Name]) -> ActorClass:
    """The context with handles that are called after the call that made them."""
    base = cast("type[Iommufd]", kind)

    class Recorded(base):  # type: ignore[misc, valid-type]
        """`BORN` has the domain that each handle was made for."""

        __slots__ = ()
        BORN: ClassVar[Mapping[Name, Name]] = domains

        def handle(self, message: Inbox | Failing | AnswerGroup, sender: Name, out: Out) -> None:
            """As the context does, with what is known of the call."""
            if isinstance(message, Failing):
                out.chance = FailsAt(message.sites)
                message = cast("Inbox", message.message)
            if isinstance(message, AnswerGroup):
                message = self.with_cookie(message)
            super().handle(message, sender, out)

        def with_cookie(self, asked: AnswerGroup) -> AnswerFault:
            """The cookie that the group has now; 0, which none has, if it has none."""
            wanted = (asked.device, asked.pasid, asked.number)
            cookie = 0
            for one, group in self.queue(asked.fault).responses.items():
                if wanted == (group.device, group.pasid, group.number):
                    cookie = one
            return AnswerFault(asked.call, asked.fault, cookie, asked.code)

        def number_for(self, request: Request) -> Call:
            """A task is called as the call is."""
            return request.call

        def handle_for(self, task: Task) -> Name:
            """And so is a handle."""
            return f"h{task.number}"

        def domain_of(self, handle: Name) -> Name:
            """A handle that is gone still says what it was for."""
            return super().domain_of(handle) or self.BORN.get(handle, "")

    return cast("ActorClass", Recorded)
