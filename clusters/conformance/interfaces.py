"""Which actors a trace is held against: by the calls in it.  Append an interface at the end."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from msgspec import Struct

from clusters.cluster import Actor, ActorClass, Role
from clusters.conformance import sva, sva_library
from clusters.conformance.arguments import ARGS as IOASID
from clusters.conformance.calls import Call
from clusters.conformance.ioasid import IoasidCalls
from clusters.conformance.machine import TraceMachine
from clusters.conformance.operations import Vocabulary


class Calls(Vocabulary, Protocol):
    """A vocabulary for one trace."""

    @property
    def known(self) -> Sequence[str]:
        """The calls that it has a place for, or need not look at."""

    def own(self, calls: Iterable[Call]) -> list[Call]:
        """Those of the trace that it is about."""

    def actor(self, kind: ActorClass) -> Actor:
        """The actor as it is when the kernel starts."""

    def missing(self, kind: ActorClass, calls: Iterable[Call]) -> Counter[str]:
        """Calls that this class cannot do, counted by name."""

    def gaps(self, calls: Iterable[Call]) -> str:
        """Why the trace cannot be judged although its calls are known; empty: it can."""


class Interface(Struct, frozen=True):
    """Who answers `calls`, in which revision unless another is asked for.

    `but` are calls that say that another interface has these.
    """

    role: Role
    revision: str
    calls: tuple[str, ...]
    vocabulary: Callable[[TraceMachine, Sequence[Call]], Calls]
    but: tuple[str, ...] = ()


LIBRARY: Final = (sva_library.ALLOC, sva_library.FIND)
INTERFACES: Final = (
    Interface("core", "linux-6.1", tuple(IOASID), IoasidCalls, LIBRARY),
    Interface("sva", "linux-6.1", LIBRARY, sva_library.SvaLibraryCalls),
    Interface("core", "linux-6.1", LIBRARY, sva_library.IoasidBelowSva),
    Interface("sva", "linux-6.12", (sva.BIND, sva.UNBIND, sva.GET_PASID), sva.SvaCalls),
)


def interfaces_of(calls: Iterable[Call]) -> list[Interface]:
    """All that have calls in the trace; if nobody has, the first one says that it knows none."""
    names = {call.call for call in calls}
    found = [
        one for one in INTERFACES if not names.isdisjoint(one.calls) and names.isdisjoint(one.but)
    ]
    return found or [INTERFACES[0]]
