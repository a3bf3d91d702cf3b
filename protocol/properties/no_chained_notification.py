"""N15: the chain's lock is held already."""

from typing import ClassVar, Final

from protocol.facts import Event, NotificationHandled, NotificationSent
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, named, when

INPUTS_MAX: Final = 256
"""So many of an actor's last handler runs are remembered; no call is under way for longer."""


class NoChainedNotification:
    """No notification is sent because of a call made from inside a notification handler."""

    name: ClassVar[str] = "no-chained-notification"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N15"
    source: ClassVar[str] = "V4 ioasid.rst, notifications"
    observes: ClassVar[tuple[type[Event], ...]] = (NotificationHandled, NotificationSent)

    def __init__(self, machine: Machine) -> None:
        self.handlers: dict[Name, dict[int, str]] = {}
        """Of each actor, the inputs in which a handler ran, and for which notification."""

    def observe(self, record: Record) -> str | None:
        stamp = record.stamp
        fact = record.fact
        if type(fact) is NotificationHandled:
            inputs = self.handlers.setdefault(stamp.actor, {})
            inputs[stamp.n] = fact.notification
            if len(inputs) > INPUTS_MAX:
                del inputs[next(iter(inputs))]
        elif type(fact) is NotificationSent and stamp.input != "NotifyReply":
            # A handler's reply lets the next notification begin; that is no chaining.
            handled = self.handlers.get(stamp.cause, {}).get(stamp.cause_n)
            if handled is not None:
                return (
                    f"{fact.notification} of {named(fact.pasid, fact.incarnation)} was "
                    f"notified at {when(stamp)} because {stamp.cause} called the core "
                    f"from its {handled} handler"
                )
        return None

    def unmet(self) -> list[Owed]:
        return []
