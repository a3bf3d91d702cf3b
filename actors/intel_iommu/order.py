"""How equal situations come to be equal states: the smallest free number, tables in their order.

Kernel: what an ida and an xarray are there.  §1.6.
"""

from collections.abc import Container
from typing import TypeVar

V = TypeVar("V")


def smallest_free(used: Container[int], first: int = 1) -> int:
    """The smallest number from `first` that is not used."""
    number = first
    while number in used:
        number += 1
    return number


def insert(table: dict[int, V], key: int, value: V) -> None:
    """A new entry, in its place among the others."""
    behind = [(other, table.pop(other)) for other in list(table) if other > key]
    table[key] = value
    table.update(behind)
