"""How equal situations come to be equal states: smallest free numbers, tables in the order of keys.

Without it two schedules that lead to the same place would leave other numbers, or the same in
another order, and would have to be explored twice.

Kernel: what an ida and an xarray are there.  §1.6.
"""

from collections.abc import Container
from itertools import takewhile
from typing import TypeVar

K = TypeVar("K", int, str)
V = TypeVar("V")


def smallest_free(used: Container[int]) -> int:
    """The smallest number from 1 that is not used."""
    number = 1
    while number in used:
        number += 1
    return number


def insert(table: dict[K, V], key: K, value: V) -> None:
    """A new entry, in its place among the others."""
    if not table or key > next(reversed(table)):
        table[key] = value
        return

    behind = list(takewhile(key.__lt__, reversed(table)))
    moved = {other: table.pop(other) for other in reversed(behind)}
    table[key] = value
    table.update(moved)
