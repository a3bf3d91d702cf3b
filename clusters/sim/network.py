"""The links of a simulated world, and what can be delivered next.

A *slot* is something that can happen: the oldest message of a link, or a timer.  It is *enabled*
when it has something to deliver and nothing holds it.  Links are reliable and in order; each
ordered pair of actors has its own.  Slots are numbers, in order of first use, so that a world can
be copied and its choices written down cheaply.
"""

from collections import deque
from collections.abc import Mapping
from heapq import heappop, heappush
from typing import Final, TypeAlias

from clusters.host import Host
from clusters.moments import Moment
from clusters.nemesis import ARROW
from clusters.sim.tape import Choice, Deliver, Fire
from protocol.errors import ExperimentError
from protocol.messages import AnyMessage
from protocol.names import SUPERVISOR, Name

CLOSED: Final = -1
"""Stands for the link to an actor that is lost: what is sent there vanishes."""

SEMANTICS: Final = {
    "reliable": "each message exactly once, in order per link",
    "at-least-once": "a message may come again",
    "at-most-once": "a message may be lost",
    "any-order": "a message may overtake another",
}
LATER: Final = ("at-least-once", "at-most-once", "any-order")
"""Those that come with a later issue."""

Item: TypeAlias = tuple[AnyMessage, Moment | None, int]
"""A message in flight: the input that sent it (None: the world), and as its how-manieth effect."""


def check_semantics(semantics: str) -> None:
    """Refuse what links cannot do yet."""
    if semantics in LATER:
        raise ExperimentError(f"network semantics '{semantics}' comes with a later issue")
    if semantics not in SEMANTICS:
        raise ExperimentError(f"'{semantics}' is not a network semantics ({', '.join(SEMANTICS)})")


class Network:
    """Slots side by side in lists; the world's hot loop reads them directly.

    `enabled` is in an order of its own that only depends on what happened before; `place` says
    where in it a slot stands, or -1.
    """

    __slots__ = (
        "_held",
        "blocked",
        "delays",
        "enabled",
        "hosts",
        "inbound",
        "lag",
        "names",
        "outbound",
        "place",
        "queues",
        "receivers",
        "routes",
        "senders",
        "timers",
        "wake",
    )  # fmt: skip

    def __init__(self, hosts: Mapping[Name, Host]) -> None:
        self.hosts = hosts
        self.names: list[Choice] = []
        """What each slot is, for a tape."""
        self.senders: list[Name] = []
        self.receivers: list[Host] = []
        self.queues: list[deque[Item]] = []
        self.enabled: list[int] = []
        self.place: list[int] = []
        self.routes: dict[Name, dict[Name, int]] = {name: {} for name in (*hosts, SUPERVISOR)}
        """Per sender, the slot to each receiver."""
        self.outbound: list[dict[Name, int]] = []
        """Per slot, the routes of its receiver."""
        self.timers: dict[Name, dict[str, int]] = {name: {} for name in hosts}
        self.inbound: dict[Name, list[int]] = {name: [] for name in hosts}
        self.blocked: dict[Name, int] = dict.fromkeys(hosts, 0)
        """How many faults keep an actor from its inputs."""
        self._held: list[int] = []
        """How many reasons there are not to deliver from a slot."""
        self.delays: list[tuple[str, tuple[int, int]]] = []
        """What delays: an actor's name (all links to it), a link's, or "" (all), and how long."""
        self.lag: dict[int, tuple[int, int]] = {}
        """The slots that this concerns: their messages wait at the head."""
        self.wake: list[tuple[int, int]] = []
        """A heap: at which step which slot has waited enough."""

    # Slots.

    def open(self, sender: Name, receiver: Name) -> int:
        """The slot of a link that is used for the first time."""
        assert receiver in self.hosts, f"{sender} sends to {receiver}, which does not exist"
        slot = self._slot(Deliver(sender, receiver), sender, receiver)
        self.routes[sender][receiver] = slot
        return slot

    def timer(self, actor: Name, timer: str) -> int:
        """The slot of a timer, a new one if it is set for the first time."""
        slot = self.timers[actor].get(timer)
        if slot is None:
            slot = self.timers[actor][timer] = self._slot(Fire(actor, timer), SUPERVISOR, actor)
        return slot

    def _slot(self, name: Choice, sender: Name, receiver: Name) -> int:
        slot = len(self.names)
        self.names.append(name)
        self.senders.append(sender)
        self.receivers.append(self.hosts[receiver])
        self.outbound.append(self.routes[receiver])
        self.queues.append(deque())
        self.place.append(-1)
        self._held.append(self.blocked[receiver])
        self.inbound[receiver].append(slot)
        if self.delays:
            self._set_lag(slot)
        return slot

    def find(self, choice: Deliver | Fire) -> int:
        """The slot of that name if it is enabled, else -1."""
        match choice:
            case Deliver(source, destination):
                slot = self.routes.get(source, {}).get(destination, -1)
            case Fire(actor, timer):
                slot = self.timers.get(actor, {}).get(timer, -1)
        return slot if slot >= 0 and self.place[slot] >= 0 else -1

    # What the world does all the time.

    def put(self, slot: int, item: Item) -> bool:
        """A message is on its way; True if it is at the head of a link that lags."""
        queue = self.queues[slot]
        queue.append(item)
        if len(queue) == 1:
            if slot in self.lag:
                return True
            if not self._held[slot]:
                enabled = self.enabled
                self.place[slot] = len(enabled)
                enabled.append(slot)
        return False

    def disable(self, slot: int) -> None:
        """Nothing of this slot can be delivered."""
        place, enabled = self.place, self.enabled
        at = place[slot]
        if at < 0:
            return
        last = enabled.pop()
        if last != slot:
            enabled[at] = last
            place[last] = at
        place[slot] = -1

    # What faults do now and then.

    def hold(self, slot: int) -> None:
        """One more reason not to deliver from it."""
        self._held[slot] += 1
        self.disable(slot)

    def release(self, slot: int) -> None:
        """One less."""
        self._held[slot] -= 1
        assert self._held[slot] >= 0, "a slot was released more often than held"
        if not self._held[slot] and self.queues[slot]:
            self.place[slot] = len(self.enabled)
            self.enabled.append(slot)

    def block(self, actor: Name) -> None:
        """The actor gets no inputs, from links or timers, also from those yet to be opened."""
        self.blocked[actor] += 1
        for slot in self.inbound[actor]:
            self.hold(slot)

    def unblock(self, actor: Name) -> None:
        """It gets them again, unless another fault blocks it, too."""
        self.blocked[actor] -= 1
        for slot in self.inbound[actor]:
            self.release(slot)

    def close(self, actor: Name) -> None:
        """The actor is gone: what was on its way to it vanishes, and so does all that follows."""
        for slot in self.inbound[actor]:
            self.disable(slot)
            self.queues[slot].clear()
        for routes in self.routes.values():
            routes[actor] = CLOSED

    def cut(self, sender: Name, receiver: Name) -> None:
        """What is still on this link vanishes: its sender is gone, and the receiver was told."""
        slot = self.routes[sender].get(receiver, CLOSED)
        if slot != CLOSED:
            self.disable(slot)
            self.queues[slot].clear()

    def delay(self, target: str, wait: tuple[int, int]) -> None:
        """From here on messages to `target` wait; the latest delay of a link counts."""
        sender, arrow, receiver = target.partition(ARROW)
        if arrow and receiver not in self.routes[sender]:
            self.open(sender, receiver)
        self.delays.append((target, wait))
        self._set_lags()

    def undelay(self, target: str) -> None:
        """No more; what sleeps sleeps on until its time."""
        self.delays = [delay for delay in self.delays if delay[0] != target]
        self._set_lags()

    def _set_lags(self) -> None:
        self.lag = {}
        for slot in range(len(self.names)):
            self._set_lag(slot)

    def _set_lag(self, slot: int) -> None:
        match self.names[slot]:
            case Deliver(source, destination):
                targets = ("", destination, f"{source}{ARROW}{destination}")
                for target, wait in self.delays:
                    if target in targets:
                        self.lag[slot] = wait

    def sleep(self, slot: int, until: int) -> None:
        """The message at the head waits."""
        self.hold(slot)
        heappush(self.wake, (until, slot))

    def awake(self, step: int) -> bool:
        """Release what has waited until `step`; whether there was anything."""
        woken = False
        while self.wake and self.wake[0][0] <= step:
            self.release(heappop(self.wake)[1])
            woken = True
        return woken
