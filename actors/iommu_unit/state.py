"""What a unit holds: table entries, cached lines, invalidations that wait (§5.1, §5.5)."""

from typing import TypeAlias

from msgspec import Struct

from protocol.messages import (
    DrainRequests,
    InvalidateDevTlb,
    InvalidateIotlb,
    InvalidatePasidCache,
)
from protocol.messages.pasid_table import InvalidateDomainIotlb, InvalidatePiotlb
from protocol.names import Incarnation, Name, Pasid

Tag: TypeAlias = tuple[Name, Pasid]
"""A device and a PASID: what a request carries, and what entries and lines are found by."""

ByLevel: TypeAlias = InvalidatePiotlb | InvalidateDomainIotlb
"""IOTLB invalidations of a driver that says which level an entry has."""
Invalidation: TypeAlias = (
    InvalidatePasidCache | InvalidateIotlb | InvalidateDevTlb | DrainRequests | ByLevel
)


class Line(Struct, frozen=True):
    """What translating through an entry yields, as the caches keep it."""

    incarnation: Incarnation
    vm: Name
    table: int
    did: int = 0
    kind: str = ""


class Entry(Struct, frozen=True):
    """A PASID-table entry; with P clear it may still hold its old contents until it is zeroed.

    `kind`: which levels it has; empty where the driver does not say.
    """

    incarnation: Incarnation
    vm: Name
    table: int
    did: int
    present: bool = True
    fpd: bool = False
    kind: str = ""

    def line(self) -> Line:
        """The line that a cache fetches from it."""
        return Line(self.incarnation, self.vm, self.table, self.did, self.kind)


class Queued(Struct, frozen=True):
    """A descriptor of the invalidation queue, and who submitted it."""

    requester: Name
    invalidation: Invalidation
