"""What is stated of one that has lost its memory, and of what it does about that (§1.11)."""

from protocol.facts.event import Event
from protocol.names import Incarnation, Pasid


class MemoryLost(Event, frozen=True, tag="memory.lost"):
    """The actor that died and came back, the `life`th time: only what hardware has is left."""

    life: int


class MemoryRebuilt(Event, frozen=True, tag="memory.rebuilt"):
    """The same actor: it has asked everybody, and its books are what they say."""

    life: int


class PutUnheld(Event, frozen=True, tag="put.unheld"):
    """core: a put by `holder`, which has no such entry in the ledger; it changes nothing."""

    pasid: Pasid
    incarnation: Incarnation
    holder: str


AmnesiaFact = MemoryLost | MemoryRebuilt | PutUnheld
"""All of them."""
