"""Messages on their way: for each actor the queues of those who send to it, and its timers.

A thing on its way is an *item*: who sent it, the message, and the mark of the input it left in.  An
actor's inbox is one part of a state; what it is after a delivery, or after something new has
come in, is worked out once and remembered.
"""

from hashlib import blake2b
from typing import Final, NamedTuple

from clusters.sim.search.components import Parts
from clusters.sim.search.frozen import freeze
from clusters.sim.search.judging import Mark
from clusters.sim.tape import Begin, Choice, Deliver, Fire, words
from protocol.messages import AnyMessage, HostLost, TimerFired
from protocol.names import SUPERVISOR, Name

Queues = tuple[tuple[Name, tuple[int, ...]], ...]
"""By sender, in the order of their names: items, oldest first.  A timer is a sender, too."""

TIMER: Final = "timer "


class Item(NamedTuple):
    """Something that can be delivered to `receiver`; `timer` names the timer that it is."""

    receiver: int
    sender: Name
    message: AnyMessage
    mark: Mark
    timer: str


class Head(NamedTuple):
    """What an inbox can deliver next, the inbox after that, and the channel that it comes by."""

    item: int
    rest: int
    channel: int


NOBODY: Final = -1
"""The channel of a fault: it may strike, and need not."""


def choice_of(item: Item, receiver: Name) -> Deliver | Fire:
    """How a tape calls the delivery."""
    return Fire(receiver, item.timer) if item.timer else Deliver(item.sender, receiver)


def channel_of(choice: Choice) -> int:
    """The number of a channel: the same for the same name, in every process."""
    if isinstance(choice, Begin):
        return NOBODY
    return int.from_bytes(blake2b(words(choice).encode(), digest_size=7).digest(), "big")


class Inboxes:
    """`items` by number; an inbox is known by the number of its part."""

    __slots__ = ("_heads", "_item_numbers", "_parts", "_puts", "_queues", "items", "names")

    def __init__(self, parts: Parts, names: list[Name]) -> None:
        self.names = names
        self.items: list[Item] = []
        self._parts = parts
        self._item_numbers: dict[tuple[int, Name, bytes, Mark], int] = {}
        self._queues: dict[int, Queues] = {}
        self._heads: dict[int, tuple[Head, ...]] = {}
        self._puts: dict[tuple[int, tuple[int, ...]], int] = {}

    def item(self, receiver: int, sender: Name, message: AnyMessage, mark: Mark) -> int:
        """The number of a message from a sender."""
        return self._item(Item(receiver, sender, message, mark, ""))

    def timer(self, receiver: int, timer: str) -> int:
        """The number of a timer that fires."""
        return self._item(Item(receiver, SUPERVISOR, TimerFired(timer), 0, timer))

    def _item(self, item: Item) -> int:
        key = (item.receiver, _source(item), freeze(item.message), item.mark)
        number = self._item_numbers.get(key)
        if number is None:
            number = self._item_numbers[key] = len(self.items)
            self.items.append(item)
        return number

    def empty(self, receiver: int) -> int:
        """An inbox without anything in it."""
        return self._number(receiver, ())

    def heads(self, inbox: int) -> tuple[Head, ...]:
        """What can be delivered from it, in the order of the senders."""
        heads = self._heads.get(inbox)
        if heads is None:
            queues = self._queues[inbox]
            heads = self._heads[inbox] = tuple(
                Head(items[0], self._without(queues, at), self._channel(items[0]))
                for at, (_, items) in enumerate(queues)
            )
        return heads

    def _channel(self, number: int) -> int:
        item = self.items[number]
        return channel_of(choice_of(item, self.names[item.receiver]))

    def _without(self, queues: Queues, at: int) -> int:
        source, items = queues[at]
        item = self.items[items[0]]
        rest = [(source, items[1:])] if len(items) > 1 else []
        left = [*queues[:at], *rest, *queues[at + 1 :]]
        if item.sender == SUPERVISOR and isinstance(item.message, HostLost):
            # It is a fence: nothing of the lost one comes after it.
            left = [one for one in left if one[0] != item.message.name]
        return self._number(item.receiver, tuple(left))

    def has(self, inbox: int, sender: Name) -> bool:
        """Whether anything of that sender is in it."""
        return any(source == sender for source, _ in self._queues[inbox])

    def put(self, inbox: int, items: tuple[int, ...]) -> int:
        """The inbox with these behind what is there; a timer that is set is not set twice."""
        key = (inbox, items)
        number = self._puts.get(key)
        if number is None:
            queues = dict(self._queues[inbox])
            for one in items:
                item = self.items[one]
                source = _source(item)
                if not (item.timer and source in queues):
                    queues[source] = (*queues.get(source, ()), one)
            receiver = self.items[items[0]].receiver
            number = self._puts[key] = self._number(receiver, tuple(sorted(queues.items())))
        return number

    def _number(self, receiver: int, queues: Queues) -> int:
        said = {
            source: [(self.items[one].message, self.items[one].mark) for one in items]
            for source, items in queues
        }
        content = freeze(said, ordered=False)
        number = self._parts.number(f"inbox of {self.names[receiver]}", content, ordered=False)
        self._queues[number] = queues
        return number


def _source(item: Item) -> Name:
    return f"{TIMER}{item.timer}" if item.timer else item.sender
