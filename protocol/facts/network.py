"""What the world states that links did to messages (§6).  Same names in both worlds."""

from protocol.facts.event import Event
from protocol.names import Name


class LinkActed(Event, frozen=True, tag="link.acted"):
    """A message was `dropped`, `duplicated` or `overtaken` on its way from `source`.

    `masked`: the link layer made good for it, so that the actors see a delay or nothing.
    """

    source: Name
    destination: Name
    did: str
    message: str
    masked: bool


class HandlerFailed(Event, frozen=True, tag="handler.failed"):
    """An actor has no answer to a message that a reliable link would not have brought."""

    peer: Name
    message: str
    error: str
