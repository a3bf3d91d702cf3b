"""How much may be tried for an explanation."""

from typing import Final

from msgspec import Struct

DELIVERIES_MAX: Final = 2_000_000
"""Deliveries of all schedules that are tried for one half of an explanation."""
TRIES_MAX: Final = 2_000
"""Schedules that are tried to find one that holds."""
PREFIXES_MAX: Final = 24
"""Places from which random schedules leave."""
WALKS: Final = 200
"""Random schedules from each of them."""
WALKS_MIN: Final = 20
"""Of a long schedule there are fewer, and not less than that."""
HALVINGS: Final = 12
"""How many places it takes, about, to find the guilty choice."""


class Budget(Struct, frozen=True):
    """What may be spent on an explanation, the same on every machine; `deliveries` twice."""

    deliveries: int = DELIVERIES_MAX
    tries: int = TRIES_MAX
    prefixes: int = PREFIXES_MAX
    walks: int = WALKS

    def walks_for(self, steps: int) -> int:
        """How many random schedules there are from each place of one that has so many steps."""
        affordable = self.deliveries // (HALVINGS * max(steps, 1))
        return min(self.walks, max(WALKS_MIN, affordable))
