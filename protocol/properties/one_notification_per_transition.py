"""N4: subscribers count on edges, not on levels."""

from typing import ClassVar, Final

from protocol.facts import Event, NotificationSent
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Pasid
from protocol.properties.property import Kind, Owed, named, when

LIVES: Final = 2
"""A notification can still be due when its number lives again, not when it does so twice."""


class OneNotificationPerTransition:
    """A life has at most one ALLOC and one FREE; its BIND and UNBIND alternate, BIND first."""

    name: ClassVar[str] = "one-notification-per-transition"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N4"
    source: ClassVar[str] = 'v3 01/14 and V4 ioasid.rst, "Level Sensitivity"'
    observes: ClassVar[tuple[type[Event], ...]] = (NotificationSent,)

    def __init__(self, machine: Machine) -> None:
        self.numbers: dict[Pasid, dict[Incarnation, tuple[str, ...]]] = {}
        """Of the number's last two lives, what counts: what came once, and BIND while bound."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is NotificationSent:
            what = fact.notification
            lives = self.numbers.setdefault(fact.pasid, {})
            sent = lives.get(fact.incarnation, ())
            if what == "UNBIND":
                again = "BIND" not in sent
                lives[fact.incarnation] = tuple([one for one in sent if one != "BIND"])
            else:
                again = what in sent
                lives[fact.incarnation] = sent if again else (*sent, what)
            if len(lives) > LIVES:
                del lives[min(lives)]
            if again:
                why = "without a BIND before it" if what == "UNBIND" else "again"
                life = named(fact.pasid, fact.incarnation)
                return f"{what} of {life} was notified {why}, at {when(record.stamp)}"
        return None

    def unmet(self) -> list[Owed]:
        return []
