"""The names of a `.map` file: what the addresses in the text of a trace are."""

from pathlib import Path
from typing import Final

from clusters.conformance.calls import TEXT_MAX
from clusters.conformance.reading import Lines
from protocol.errors import UnreadableError

NAMES_MAX: Final = 100_000
WORDS: Final = 3


class Names:
    """By kind, the names of addresses.  One that has none stands for itself."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, int], str] = {}

    def name(self, kind: str, address: int) -> str | None:
        """The name of what is there; nothing at 0."""
        if address == 0:
            return None
        return self._names.get((kind, address), f"{address:#x}")

    def call_it(self, kind: str, address: int, name: str) -> None:
        """From now on this is its name."""
        self._names[kind, address] = name


def read_names(path: Path) -> Names:
    """A line for each: kind, address, name; what follows as key=value is for people."""
    names = Names()
    lines = Lines(path)
    for line in lines:
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < WORDS or any("=" not in word for word in words[WORDS:]):
            raise lines.refuse("a line of a map is: kind, address, name")
        kind, address, name = words[:WORDS]
        try:
            number = int(address, 16)
        except ValueError:
            raise lines.refuse(f"'{address[:40]}' is not an address") from None
        if not 0 < number < 1 << 64 or len(name) > TEXT_MAX:
            raise lines.refuse("an address has 64 bits, a name 200 characters at most")
        names.call_it(kind, number, name)
        if lines.number > NAMES_MAX:
            raise lines.refuse(f"more than {NAMES_MAX:,} names")
    return names


def map_of(trace: Path) -> Path:
    """The map beside a trace: `x.map` for `x.trace.gz`."""
    stem = trace.name.removesuffix(".gz").removesuffix(".trace").removesuffix(".txt")
    return trace.with_name(f"{stem}.map")


def names_beside(trace: Path) -> Names:
    """The names for a trace; it does not go without."""
    path = map_of(trace)
    if not path.exists():
        raise UnreadableError(
            f"{trace}: the text of a trace has addresses only: put their names beside it, in"
            f" {path.name} (lines of kind, address, name)"
        )
    return read_names(path)
