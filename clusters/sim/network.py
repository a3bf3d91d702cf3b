"""The links of a simulated world, and what can be delivered next.

A *slot* is something that can happen: the oldest message of a link, or a timer.  It is *enabled*
when it has something to deliver and nothing holds it.  Links are reliable and in order but for
those that an experiment says are `loose`; each ordered pair of actors has its own.  Slots are
numbers, in order of first use, so that a world can be copied and its choices written down cheaply.
"""

from collections import deque
from collections.abc import Mapping
from heapq import heappop, heappush
from typing import Final, TypeAlias

from clusters.host import Host
from clusters.links import ANY, Pair, covers, pairs
from clusters.moments import Moment
from clusters.sim.tape import Choice, Deliver, Fire
from protocol.messages import AnyMessage
from protocol.names import SUPERVISOR, Name

CLOSED: Final = -1
"""Stands for the link to an actor that is lost: what is sent there vanishes."""

COPY: Final = ", again"
"""Behind a sender's name: whose messages are copies of what was delivered already."""

Item: TypeAlias = tuple[AnyMessage, Moment | None, int]
"""A message in flight: the input that sent it (None: the world), and as its how-manieth effect."""


class Network:
    """Slots side by side in lists; the world's hot loop reads them directly.

    `enabled` is in an order of its own that only depends on what happened before; `place` says
    where in it a slot stands, or -1.
    """

    __slots__ = (
        "_held",
        "blocked",
        "cuts",
        "delays",
        "enabled",
        "hosts",
        "inbound",
        "lag",
        "loose",
        "loosely",
        "lossy",
        "names",
        "outbound",
        "place",
        "queues",
        "receivers",
        "routes",
        "senders",
        "solid",
        "timers",
        "wake",
    )  # fmt: skip

    def __init__(
        self,
        hosts: Mapping[Name, Host],
        solid: frozenset[Name] = frozenset({SUPERVISOR}),
        loose: tuple[str, frozenset[Pair]] = ("", frozenset()),
    ) -> None:
        """`solid`: whose links nothing can be done to but to delay them; `loose`: how which are."""
        self.hosts = hosts
        self.solid = solid
        self.loosely = loose
        self.loose: dict[int, str] = {}
        """The slots of links that are not reliable, and what they are."""
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
        self.cuts: list[tuple[Pair, ...]] = []
        """The links that are cut, partition by partition."""
        self.delays: list[tuple[str, str, tuple[int, int]]] = []
        """What delays: the fault, its target ("": all links), and how long a message waits."""
        self.lag: dict[int, tuple[int, int]] = {}
        """The slots that this concerns: their messages wait at the head."""
        self.lossy: dict[int, None] = {}
        """Those of them whose messages wait only if they were dropped."""
        self.wake: list[tuple[int, int]] = []
        """A heap: at which step which slot has waited enough."""

    # Slots.

    def open(self, sender: Name, receiver: Name) -> int:
        """The slot of a link that is used for the first time."""
        assert receiver in self.hosts, f"{sender} sends to {receiver}, which does not exist"
        slot = self._slot(Deliver(sender, receiver), sender, receiver)
        self.routes[sender][receiver] = slot
        if (sender, receiver) in self.loosely[1]:
            self.loose[slot] = self.loosely[0]
        if self.delays:
            self._set_lag(slot)
        return slot

    def copies(self, slot: int) -> int:
        """The slot of the copies of what is delivered from a link; they may come at any time."""
        sender, receiver = self.senders[slot], self.receivers[slot].name
        routes = self.routes.setdefault(sender + COPY, {})
        if receiver not in routes:
            routes[receiver] = self._slot(Deliver(sender + COPY, receiver), sender, receiver)
        return routes[receiver]

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
        if self.cuts:
            self._held[slot] += sum(self._concerns(cut, slot) for cut in self.cuts)
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
        if queue:
            queue.append(item)
            return False
        queue.append(item)
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

    def ready(self, slot: int) -> None:
        """The head of a link that lags need not wait."""
        if self.place[slot] < 0 and not self._held[slot]:
            self.place[slot] = len(self.enabled)
            self.enabled.append(slot)

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
        for whose in (sender, sender + COPY):
            slot = self.routes.get(whose, {}).get(receiver, CLOSED)
            if slot != CLOSED:
                self.disable(slot)
                self.queues[slot].clear()

    def sever(self, target: str) -> None:
        """From here on nothing comes through: of an actor neither to it nor from it."""
        cut = pairs("partition", target)
        self.cuts.append(cut)
        for slot in range(len(self.names)):
            if self._concerns(cut, slot):
                self.hold(slot)

    def mend(self, target: str) -> None:
        """It comes through again, unless it is cut twice: the link layer has kept all of it."""
        cut = pairs("partition", target)
        self.cuts.remove(cut)
        for slot in range(len(self.names)):
            if self._concerns(cut, slot):
                self.release(slot)

    def _concerns(self, links: tuple[Pair, ...], slot: int) -> bool:
        """Whether a fault of these links is one of this slot's, which is not hardware's."""
        if self.names[slot].__class__ is Fire:
            return False
        sender, receiver = self.senders[slot], self.receivers[slot].name
        if sender in self.solid or receiver in self.solid:
            return False
        return covers(links, sender, receiver)

    def delay(self, target: str, wait: tuple[int, int], fault: str = "delay") -> None:
        """From here on messages to `target` wait (if they are dropped); the latest counts."""
        for source, destination in pairs(fault, target) if target else ():
            named = ANY not in (source, destination)
            if named and destination not in self.routes[source]:
                self.open(source, destination)
        self.delays.append((fault, target, wait))
        self._set_lags()

    def undelay(self, target: str, fault: str = "delay") -> None:
        """No more; what sleeps sleeps on until its time."""
        self.delays = [delay for delay in self.delays if delay[:2] != (fault, target)]
        self._set_lags()

    def _set_lags(self) -> None:
        self.lag, self.lossy = {}, {}
        for slot in range(len(self.names)):
            self._set_lag(slot)

    def _set_lag(self, slot: int) -> None:
        name = self.names[slot]
        sender, receiver = self.senders[slot], self.receivers[slot].name
        if not isinstance(name, Deliver) or name.source != sender:
            return
        for fault, target, wait in self.delays:
            links = pairs(fault, target)
            if fault == "delay":
                concerned = covers(links, sender, receiver)
            else:
                # What is lost where nothing is sent again does not wait.
                concerned = self.loose.get(slot) != "at-most-once" and self._concerns(links, slot)
            if concerned:
                self.lag[slot] = wait
                self.lossy.pop(slot, None)
                if fault == "drop":
                    self.lossy[slot] = None

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
