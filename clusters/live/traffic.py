"""Who waits for whose batch: one at a time goes to each host, so that a busy one gets much in each.

A call costs as much as a hundred messages in it do.  So while a batch of messages is on its way to
a host, what else there is to say to it waits, and leaves together when a batch comes from there;
who has nothing to say acknowledges at once.  An answer that is lost holds nobody up for longer than
until the next tick.
"""

from protocol.names import Name


class Traffic:
    """Of one host with each other."""

    def __init__(self) -> None:
        self._awaited: dict[Name, None] = {}
        self._owed: dict[Name, None] = {}

    def full(self, home: Name) -> bool:
        """Whether what is to be said there has to wait."""
        return home in self._awaited

    def owes(self, home: Name) -> bool:
        """Whether it waits there for a batch from here."""
        return home in self._owed

    def left(self, home: Name, *, asks: bool) -> None:
        """A batch went there; `asks`: with messages, so that one will come back."""
        self._owed.pop(home, None)
        if asks:
            self._awaited[home] = None

    def came(self, home: Name) -> None:
        """A batch came from there."""
        self._awaited.pop(home, None)
        self._owed[home] = None

    def forget(self) -> None:
        """Time has passed: what was on its way has arrived, or never will."""
        self._awaited.clear()
