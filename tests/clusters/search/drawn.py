"""Transition systems drawn by chance, and a few laid out by hand: what a search is asked about.

A state is a number, and its row says where it leads.  Nothing of a world is in it, so that what is
tested is the search alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple, TypeAlias

from clusters.sim.search.breadth_first import BreadthFirst, Expand
from clusters.sim.search.graph import BOUNDS, Bounds, Edges
from clusters.sim.search.space import Label

ANSWERS: Final = 4
"""Labels of one channel."""
SENTENCES: Final = ("late: one is owed", "late: two are owed", "other: three are owed")

Row: TypeAlias = tuple[tuple[Label, int], ...]


class Odds(NamedTuple):
    """What a system is drawn from: the most states, channels and moves of a state.

    `owing`: how likely each sentence is owed in a state; `wrong`: how likely a state is wrong.
    """

    states: int = 6
    channels: int = 3
    moves: int = 3
    owing: float = 0.6
    wrong: float = 0.0


SMALL: Final = Odds()


@dataclass
class Drawn:
    """`rows` by state: labels and targets; `owing` and `wrongs` by state."""

    rows: tuple[Row, ...]
    owing: tuple[tuple[str, ...], ...]
    wrongs: tuple[str, ...] = ()
    name: str = "drawn"

    def initial(self) -> int:
        return 0

    def key(self, state: int) -> int:
        return state

    def moves(self, state: int) -> Sequence[tuple[Label, int, int]]:
        if self.wrong(state):
            return ()
        return [(label, target, target) for label, target in self.rows[state]]

    def after(self, state: int, step: int) -> int:
        return step

    def came(self) -> Sequence[str]:
        return ()

    def wrong(self, state: int) -> str:
        return self.wrongs[state] if self.wrongs else ""

    def owed(self, state: int) -> Sequence[str]:
        return self.owing[state]

    def channel(self, label: Label) -> int:
        return label // ANSWERS - 1

    def independent(self, state: int, one: Label, other: Label) -> bool:
        return False

    def words(self, label: Label) -> str:
        return f"channel {self.channel(label)}, answer {label % ANSWERS}"


def drawn(random: Random, odds: Odds = SMALL) -> Drawn:
    """A system in which every state is reached, and numbered as it is found breadth first.

    A label stands once in a row: the same move leads to one state.
    """
    count = random.randint(1, odds.states)
    rows: list[Row] = []
    for _ in range(count):
        labels = random.sample(range((odds.channels + 1) * ANSWERS), random.randint(0, odds.moves))
        rows.append(tuple((label, random.randrange(count)) for label in sorted(labels)))
    order = [0]
    for state in order:
        targets = dict.fromkeys(target for _, target in rows[state])
        order += [target for target in targets if target not in order]
    new = {state: number for number, state in enumerate(order)}
    return Drawn(
        tuple(tuple((label, new[target]) for label, target in rows[state]) for state in order),
        tuple(tuple(one for one in SENTENCES if random.random() < odds.owing) for _ in order),
        tuple("broken" if random.random() < odds.wrong else "" for _ in order),
    )


def edges_of(system: Drawn) -> Edges:
    """Its edges, as a search that expands every state writes them down."""
    edges = Edges()
    for row, owed in zip(system.rows, system.owing, strict=True):
        edges.add([target for _, target in row], [system.channel(label) for label, _ in row], owed)
    return edges


def search(
    system: Drawn,
    bounds: Bounds = BOUNDS,
    there: Expand | None = None,
    *,
    edges: bool = False,
) -> BreadthFirst[int, int]:
    """A search of it that is over."""
    made: BreadthFirst[int, int] = BreadthFirst(system, bounds, there, edges=edges)
    while not made.done:
        made.go_on()
    return made
