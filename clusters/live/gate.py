"""What may be handled by a host: everything as it comes, or only what a directed run releases.

A message that is held is not received: its sender keeps it and sends it again, so a host that dies
loses nothing that was held.
"""

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec import Struct

from clusters.live.post import LinkName
from protocol.messages import AnyMessage
from protocol.names import Name
from protocol.wire import Frame

if TYPE_CHECKING:
    from clusters.live.mail import Mail

Place: TypeAlias = tuple[int, int, tuple[int, int]]
"""Where a message comes from: its source's epoch, its number on its link, its id."""


class Ticket(Struct, frozen=True, array_like=True):
    """Input `n` of an actor is to be this: from whom, or which timer; and what chance answers."""

    actor: Name
    n: int
    source: Name
    timer: str = ""
    answers: tuple[int, ...] = ()


class Handled(Struct, frozen=True, array_like=True):
    """It was: with these effects; or the host could not, and `failure` says why."""

    digest: bytes
    failure: str = ""


class Gate:
    """An open one."""

    def passes(self, _frame: Frame) -> bool:
        """Whether a message from another host may be handled now."""
        return True

    def opens(self, _link: LinkName) -> bool:
        """Whether the next message of a link within the host may be."""
        return True

    def fires(self) -> bool:
        """Whether timers fire by themselves."""
        return True

    def count(self, _link: LinkName) -> int:
        """How many messages of the link are held."""
        return 0


class Held(Gate):
    """One that is closed, but for what is released.

    `frames` has by link and sequence what came from other hosts and is held.
    """

    def __init__(self) -> None:
        self.frames: dict[LinkName, dict[int, Frame]] = {}
        self._free: LinkName | None = None

    def passes(self, frame: Frame) -> bool:
        link = LinkName(frame.source, frame.destination)
        if link == self._free:
            return True
        self.frames.setdefault(link, {})[frame.sequence] = frame
        return False

    def opens(self, link: LinkName) -> bool:
        if link != self._free:
            return False
        self._free = None  # One message of it, and no more.
        return True

    def fires(self) -> bool:
        return False

    def take(self, mail: "Mail", link: LinkName) -> tuple[AnyMessage, Place] | None:
        """The next message of the link, received now, and where it is from, if it is here."""
        self._free = link
        try:
            return self._local(mail) if link.source in mail.here else self._frame(mail, link)
        finally:
            self._free = None

    def _local(self, mail: "Mail") -> tuple[AnyMessage, Place] | None:
        mail.local.extend(mail.held)
        mail.held = []
        taken = mail.next_local()  # It holds all the others again.
        if taken is None:
            return None
        _, sequence, letter = taken
        return letter.message, (mail.epoch, sequence, letter.id)

    def _frame(self, mail: "Mail", link: LinkName) -> tuple[AnyMessage, Place] | None:
        frames = self.frames.get(link, {})
        incoming = mail.incoming.get(link)
        sequence = incoming.received + 1 if incoming is not None else 1
        for old in [one for one in frames if one < sequence]:
            del frames[old]
        frame = frames.get(sequence)
        if frame is None or not mail.admit(frame, [link.destination]):
            return None
        assert frame.body is not None
        return frame.body, (frame.epoch, frame.sequence, frame.id)

    def count(self, link: LinkName) -> int:
        return len(self.frames.get(link, ()))


OPEN: Final = Gate()
read_ticket: Final = msgspec.msgpack.Decoder(Ticket).decode
read_handled: Final = msgspec.msgpack.Decoder(Handled | None).decode
