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


class Budget(Struct, frozen=True):
    """What may be spent on an explanation, the same on every machine; `deliveries` twice."""

    deliveries: int = DELIVERIES_MAX
    tries: int = TRIES_MAX
    prefixes: int = PREFIXES_MAX
    walks: int = WALKS
