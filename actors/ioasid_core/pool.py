"""The numbers of the pool that are free, so that the smallest in a range is found in a few steps.

A bit per number, in words of 64; above it a bit per word that is not empty, and so on until one
word is left.  It says which numbers are free and nothing of how they came to be: equal pools are
equal values.

Kernel: the xarray of drivers/iommu/ioasid.c, which gives the lowest index in a range.  §3.2.
"""

from typing import Final, TypeAlias

Numbers: TypeAlias = list[list[int]]

NONE_FREE: Final = 0
"""PASID 0 is never in the pool."""

SHIFT: Final = 6
MASK: Final = (1 << SHIFT) - 1
FULL: Final = (1 << (1 << SHIFT)) - 1


def numbers_to(last: int) -> Numbers:
    """1 to `last`, all free."""
    numbers: Numbers = []
    while not numbers or len(numbers[-1]) > 1:
        words = [FULL] * (last >> SHIFT)
        words.append((1 << (last & MASK) + 1) - 1)
        numbers.append(words)
        last = len(words) - 1
    numbers[0][0] &= ~1
    return numbers


def smallest_from(numbers: Numbers, start: int) -> int:
    """The smallest free number that is `start` or more, else NONE_FREE."""
    for height, words in enumerate(numbers):
        index = start >> SHIFT
        if index >= len(words):
            break
        word = words[index] & FULL << (start & MASK)
        if word:
            found = index << SHIFT | lowest(word)
            for below in reversed(numbers[:height]):
                found = found << SHIFT | lowest(below[found])
            return found
        start = index + 1
    return NONE_FREE


def take_number(numbers: Numbers, number: int) -> None:
    """It is free no more; a word that has become empty says so above."""
    for words in numbers:
        index = number >> SHIFT
        words[index] &= ~(1 << (number & MASK))
        if words[index]:
            return
        number = index


def give_number(numbers: Numbers, number: int) -> None:
    """It is free again; a word that was empty says so above."""
    for words in numbers:
        index = number >> SHIFT
        before = words[index]
        words[index] = before | 1 << (number & MASK)
        if before:
            return
        number = index


def lowest(word: int) -> int:
    """The number of the lowest bit."""
    return (word & -word).bit_length() - 1
