"""Faults of links, where frames leave: what is cut, dropped and sent twice, by a seed.

The supervisor says which faults last, with every tick, so that a host that comes back knows them,
too.  Whether a frame is hit depends on the seed, the fault, the link and how many of its frames
were asked about before.  What is masked above (a frame that was lost is sent again, one that comes
twice is known) is the link layer's affair; here things are only made worse.
"""

from collections.abc import Iterator
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
    """Of one host.  `solid`: whose links nothing can be done to."""

    def __init__(self, seed: int = 0, solid: frozenset[Name] = frozenset()) -> None:
        self.seed = seed
        self.solid = solid
        self.lasting = Lasting()
        self._actions: list[Action] = []
        self._links: list[tuple[LinkFault, tuple[Pair, ...]]] = []
        self._asked: dict[tuple[int, Name, Name], int] = {}

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

    def copies(self, source: Name, destination: Name, sequence: int) -> int:
        """How often a frame of the link leaves: once, or not at all, or twice."""
        count = 1
        for fault in self._of(source, destination):
            if fault.fault == "partition":
                did, copies = "cut", 0
            elif not self._hit(fault, source, destination):
                continue
            else:
                did, copies = ("dropped", 0) if fault.fault == "drop" else ("duplicated", 2)
            self._note(Action(did, source, destination, sequence))
            count *= copies
        return count

    def actions(self) -> list[Action]:
        """What was done since this was asked last."""
        done, self._actions = self._actions, []
        return done

    def _of(self, source: Name, destination: Name) -> Iterator[LinkFault]:
        if not self._links or source in self.solid or destination in self.solid:
            return
        for fault, links in self._links:
            if covers(links, source, destination):
                yield fault

    def _hit(self, fault: LinkFault, source: Name, destination: Name) -> bool:
        key = (fault.serial, source, destination)
        asked = self._asked[key] = self._asked.get(key, 0) + 1
        text = f"{self.seed}/{fault.serial}/{source}/{destination}/{asked}".encode()
        number = int.from_bytes(blake2b(text, digest_size=8).digest())
        return number < fault.probability * (1 << 64)

    def _note(self, action: Action) -> None:
        if len(self._actions) < ACTIONS_MAX:
            self._actions.append(action)
