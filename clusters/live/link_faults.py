"""Faults of links, where frames leave: what is cut, dropped and sent twice, by a seed.

The supervisor says which faults last, with every tick, so that a host that comes back knows them,
too.  Whether a frame is hit depends on the seed, the fault, the link and how many of its frames
were asked about before.  What is masked above (a frame that was lost is sent again, one that comes
twice is known) is the link layer's affair; here things are only made worse.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Struct

from clusters.links import Pair, covers, pairs
from protocol.names import Name

ACTIONS_MAX: Final = 10_000
"""Actions that wait to be logged; more of one turn are only counted."""


class LinkFault(Struct, frozen=True):
    """One that lasts: which it is of the run, what it does to which links, how often."""

    serial: int
    fault: str
    target: str
    probability: float = 1.0
    wait_ns: tuple[int, int] = (0, 0)


class Lasting(Struct, frozen=True):
    """All that last; `version` counts how often that has changed."""

    version: int = 0
    faults: tuple[LinkFault, ...] = ()


class Action(Struct, frozen=True):
    """What was done to a frame of a link: `cut`, `dropped` or `duplicated`."""

    did: str
    source: Name
    destination: Name
    sequence: int


_decode: Final = msgspec.msgpack.Decoder(Lasting).decode


def read_lasting(data: bytes) -> Lasting:
    """What the supervisor said."""
    return _decode(data)


class LinkFaults:
    """Of one host.  `solid`: whose links nothing can be done to but to delay them."""

    def __init__(self, seed: int = 0, solid: frozenset[Name] = frozenset()) -> None:
        self.seed = seed
        self.solid = solid
        self.lasting = Lasting()
        self._actions: list[Action] = []
        self._links: list[tuple[LinkFault, tuple[Pair, ...]]] = []
        self._asked: dict[tuple[int, Name, Name], int] = {}
        self._due: dict[tuple[Name, Name], int] = {}

    def suffer(self, lasting: Lasting) -> bool:
        """From here on these last; whether that is news."""
        if lasting.version == self.lasting.version:
            return False
        self.lasting = lasting
        self._links = [(fault, pairs(fault.fault, fault.target)) for fault in lasting.faults]
        return True

    def cut(self, source: Name, destination: Name) -> bool:
        """Whether nothing comes through on this link."""
        return any(True for fault in self._of(source, destination) if fault.fault == "partition")

    def any_cut(self, sources: Iterable[Name], destinations: Sequence[Name]) -> bool:
        """Whether one of the links from here to there is: a hello tells of all of them at once."""
        return any(self.cut(one, other) for one in sources for other in destinations)

    def copies(self, source: Name, destination: Name, sequence: int) -> int:
        """How often a frame of the link leaves: once, or not at all, or twice."""
        count = 1
        for fault in self._of(source, destination):
            if fault.fault == "delay":
                continue
            if fault.fault == "partition":
                did, copies = "cut", 0
            elif not self._hit(fault, source, destination):
                continue
            else:
                did, copies = ("dropped", 0) if fault.fault == "drop" else ("duplicated", 2)
            self._note(Action(did, source, destination, sequence))
            count *= copies
        return count

    def due(self, source: Name, destination: Name, now_ns: int) -> int:
        """When a frame of the link may leave: not before one that waits already."""
        wait = 0
        for fault in self._of(source, destination):
            if fault.fault == "delay":
                low, high = fault.wait_ns
                wait += low + self._number(fault, source, destination) % (high - low + 1)
        link = (source, destination)
        due = max(now_ns + wait, self._due.get(link, 0))
        if due > now_ns:
            self._due[link] = due
        return due

    def actions(self) -> list[Action]:
        """What was done since this was asked last."""
        done, self._actions = self._actions, []
        return done

    def _of(self, source: Name, destination: Name) -> Iterator[LinkFault]:
        hard = source in self.solid or destination in self.solid
        for fault, links in self._links:
            if covers(links, source, destination) and (fault.fault == "delay" or not hard):
                yield fault

    def _hit(self, fault: LinkFault, source: Name, destination: Name) -> bool:
        return self._number(fault, source, destination) < fault.probability * (1 << 64)

    def _number(self, fault: LinkFault, source: Name, destination: Name) -> int:
        """64 bits, others each time this is asked."""
        key = (fault.serial, source, destination)
        asked = self._asked[key] = self._asked.get(key, 0) + 1
        text = f"{self.seed}/{fault.serial}/{source}/{destination}/{asked}".encode()
        return int.from_bytes(blake2b(text, digest_size=8).digest())

    def _note(self, action: Action) -> None:
        if len(self._actions) < ACTIONS_MAX:
            self._actions.append(action)
