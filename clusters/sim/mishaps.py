"""What happens to messages on their way: losses, copies, overtaking; each a choice of the schedule.

A choice is asked for like that of a fallible step, or like a draw, in the name of the link: so it
is on the tape, can be left out when a schedule is made smaller, and replays.

An actor that is handed what no reliable link would have brought may have no answer to it.  Its
assertion then is what the experiment shows, a violation, and not a bug of ours.
"""

from typing import TYPE_CHECKING, ClassVar

from clusters.host import Host
from clusters.sim.network import Item
from clusters.sim.tape import Fail, words
from protocol.effects import Out
from protocol.facts import Event, HandlerFailed, LinkActed
from protocol.history import Record
from protocol.machine import Machine
from protocol.messages import AnyMessage
from protocol.names import Name
from protocol.properties.property import Kind, Owed

if TYPE_CHECKING:
    from clusters.sim.world import World


class MessagesAreExpected:
    """Whatever comes, its receiver has an answer to it; judged where links are not reliable."""

    name: ClassVar[str] = "messages-are-expected"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "design section 6: links are reliable and in order"
    observes: ClassVar[tuple[type[Event], ...]] = (HandlerFailed,)

    def __init__(self, machine: Machine) -> None:
        pass

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        assert isinstance(fact, HandlerFailed)
        return (
            f"{record.stamp.actor} has no answer to {fact.message} from {fact.peer}: {fact.error}"
        )

    def unmet(self) -> list[Owed]:
        return []


def unexpected(
    world: "World", host: Host, message: AnyMessage, sender: Name, error: Exception
) -> Out:
    """The actor has failed on a message: a violation where links are not reliable, else our bug."""
    if not world.network.loosely[1]:
        raise error
    said = f"{type(error).__name__}: {error}"
    host.out.effects.clear()
    host.out.facts[:] = [HandlerFailed(sender, type(message).__name__, said)]
    world.stop()
    return host.out


def dropped(world: "World", slot: int) -> bool:
    """Whether the message at the head is lost below a link layer that sends it again."""
    if not _strikes(world, slot, "drop"):
        return False
    _say(world, slot, "dropped", world.network.queues[slot][0][0], masked=True)
    return True


def put(world: "World", slot: int, item: Item) -> bool:
    """A message is sent; on a link of at most once it may be lost for good."""
    if world.network.loose.get(slot) == "at-most-once" and _strikes(world, slot, "drop"):
        _say(world, slot, "dropped", item[0])
        return False
    return world.network.put(slot, item)


def pick(world: "World", slot: int) -> Item:
    """The message that is handled next: it may come again, or not be the oldest."""
    network = world.network
    queue = network.queues[slot]
    if network.loose[slot] == "any-order":
        place = world.draw(words(network.names[slot]), len(queue))
        if place:
            _say(world, slot, "overtaken", queue[0][0])
        item = queue[place]
        del queue[place]
        return item
    item = queue.popleft()
    if network.loose[slot] == "at-least-once" and _strikes(world, slot, "duplicate"):
        _say(world, slot, "duplicated", item[0])
        network.put(network.copies(slot), item)
    return item


def _strikes(world: "World", slot: int, fault: str) -> bool:
    """Whether a message of the link is hit."""
    link = words(world.network.names[slot])
    failed = world.strategy.fails(world, link, fault)
    world.book.entries.append(world.book.entry(Fail(link, fault, failed)))
    return failed


def _say(world: "World", slot: int, did: str, message: AnyMessage, *, masked: bool = False) -> None:
    source, destination = world.network.senders[slot], world.network.receivers[slot].name
    world.state(LinkActed(source, destination, did, type(message).__name__, masked))
