"""What kept a world from coming to rest: a few links are a livelock, many are just slow."""

from collections import Counter
from typing import TYPE_CHECKING, Final

from clusters.sim.tape import words

if TYPE_CHECKING:
    from clusters.sim.world import World

BUSY_STEPS: Final = 1_000
"""Choices at the end of a run that does not come to rest that say what keeps it busy."""
BUSY_MAX: Final = 4
"""Links that are then named."""


def busiest(world: "World") -> str:
    """The links and timers that delivered most of late."""
    last = [entry for entry in world.book.entries[-BUSY_STEPS:] if entry >= 0]
    count, names = Counter(last), world.network.names
    most = [f"{words(names[slot])} {n:,}" for slot, n in count.most_common(BUSY_MAX)]
    more = f", and {len(count) - BUSY_MAX:,} more" if len(count) > BUSY_MAX else ""
    return f"busy to the end: of the last {len(last):,} deliveries {', '.join(most)}{more}"
