"""Two-phase commit, as Gray and Lamport specify it (TwoPhase.tla): model A of the yardsticks.

Resource managers (RMs) prepare, or abort by themselves; the transaction manager (TM) commits when
it has heard from all that they are prepared, or aborts.  A message that was sent stays, so that it
is received again and again: such a move leads back to its own state, and is one all the same.
Commit and Abort have been sent exactly if that is what the TM decided, so its decision says it.

A state is one number: two bits for the TM, then four for each RM (its state, whether its Prepared
was sent, whether the TM has received it).  Those four bits are all that concerns an RM, so that
exchanged RMs make no difference: with `symmetric` the key is how many RMs have which bits, that is,
the RMs sorted, and a label says which kind of RM makes the move, not who.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from clusters.sim.search.space import Key, Label

WORKING, PREPARED, COMMITTED, ABORTED = range(4)
"""Of an RM; and of the TM, which is never PREPARED."""
STATE: Final = 0b0011
SENT: Final = 0b0100
RECEIVED: Final = 0b1000
LOCAL: Final = 0b1111
TM_BITS, RM_BITS = 2, 4
BLOCK: Final = 4
"""So many RMs' moves are looked up at once."""

PREPARE, CHOOSE_ABORT, LEARN_COMMIT, LEARN_ABORT, RECEIVE, COMMIT, ABORT = range(7)
KINDS: Final = 8
CHANNELS: Final = (0, 0, 0, 0, 1, 2, 2)
"""By kind: an RM, its message to the TM, the TM's decision."""
WORDS: Final = (
    "{} prepares", "{} aborts by itself", "{} learns of the commit", "{} learns of the abort",
    "the TM hears that {} is prepared", "the TM commits", "the TM aborts",
)  # fmt: skip
OWED: Final = ("all-decide: an RM has neither committed nor aborted",)
WHO: Final = ("a working RM", "a prepared RM", "a committed RM", "an aborted RM")


def turns(decision: int, local: int) -> Iterator[tuple[int, int]]:
    """What an RM with these bits can do, or the TM with its message: the kind, the bits then."""
    rest = local & ~STATE
    if local & STATE == WORKING:
        yield PREPARE, rest | PREPARED | SENT
        yield CHOOSE_ABORT, rest | ABORTED
    if decision == COMMITTED:
        yield LEARN_COMMIT, rest | COMMITTED
    elif decision == ABORTED:
        yield LEARN_ABORT, rest | ABORTED
    elif local & SENT:
        yield RECEIVE, local | RECEIVED


TURNS: Final = [[tuple(turns(tm, local)) for local in range(LOCAL + 1)] for tm in range(STATE + 1)]


class Block(dict[int, list[tuple[Label, int]]]):
    """The moves of a few RMs in a state and what each adds to it, by the bits under `mask`."""

    def __init__(self, managers: Sequence[int]) -> None:
        super().__init__()
        self.places = [(k, TM_BITS + RM_BITS * k) for k in managers]
        self.mask = STATE | sum(LOCAL << at for _, at in self.places)

    def __missing__(self, bits: int) -> list[tuple[Label, int]]:
        found = self[bits] = [
            (k * KINDS + kind, (to << at) - (bits & LOCAL << at))
            for k, at in self.places
            for kind, to in TURNS[bits & STATE][bits >> at & LOCAL]
        ]
        return found


class TwoPhase:
    """`quorum`: so many must have prepared before the TM commits; less than all is a mistake."""

    def __init__(
        self, managers: int, *, symmetric: bool = False, quorum: int | None = None
    ) -> None:
        self.name = f"two-phase commit, N={managers}" + (", symmetric" if symmetric else "")
        self.managers = managers
        self.symmetric = symmetric
        self.quorum = managers if quorum is None else quorum
        every = range(managers)
        self.places = [TM_BITS + RM_BITS * k for k in every]
        self.blocks = [Block(every[k : k + BLOCK]) for k in range(0, managers, BLOCK)]
        self.ones = sum(1 << at for at in self.places)
        """The lowest bit of each RM's four."""
        width = managers.bit_length()
        self.counts = [1 << TM_BITS + width * local for local in range(LOCAL + 1)]
        """What one RM with these bits adds to the key, if all that counts is how many they are."""

    def initial(self) -> int:
        return 0

    def key(self, state: int) -> Key:
        return self._counted(state) if self.symmetric else state

    def _counted(self, state: int) -> int:
        counts = self.counts
        return sum([counts[state >> at & LOCAL] for at in self.places], state & STATE)

    def moves(self, state: int) -> Sequence[tuple[Label, Key, int]]:
        if self.symmetric:
            return self._moves_by_kind(state)
        found = [
            (label, to := state + more, to)
            for block in self.blocks
            for label, more in block[state & block.mask]
        ]
        if not state & STATE:
            if self._may_commit(state):
                found.append((COMMIT, state + COMMITTED, state + COMMITTED))
            found.append((ABORT, state + ABORTED, state + ABORTED))
        return found

    def _moves_by_kind(self, state: int) -> list[tuple[Label, Key, int]]:
        """The first of several RMs alike stands for them all."""
        found: list[tuple[Label, Key, int]] = []
        key, counts, by_local = self._counted(state), self.counts, TURNS[state & STATE]
        seen = 0
        for at in self.places:
            local = state >> at & LOCAL
            if not seen >> local & 1:
                seen |= 1 << local
                for kind, to in by_local[local]:
                    then = key + counts[to] - counts[local]
                    found.append((local * KINDS + kind, then, state + (to - local << at)))
        if not state & STATE:
            if self._may_commit(state):
                found.append((COMMIT, key + COMMITTED, state + COMMITTED))
            found.append((ABORT, key + ABORTED, state + ABORTED))
        return found

    def _may_commit(self, state: int) -> bool:
        return (state & self.ones * RECEIVED).bit_count() >= self.quorum

    def came(self) -> Sequence[str]:
        return ()

    def after(self, state: int, step: int) -> int:
        return step

    def wrong(self, state: int) -> str:
        """No RM has committed while another has aborted."""
        over = state >> 1 & self.ones
        return "decisions-agree" if over & state and over & ~state else ""

    def owed(self, state: int) -> Sequence[str]:
        """Each RM has committed or aborted at last."""
        return () if state >> 1 & self.ones == self.ones else OWED

    def channel(self, label: Label) -> int:
        who, kind = divmod(label, KINDS)
        return who * 3 + CHANNELS[kind]

    def independent(self, state: int, one: Label, other: Label) -> bool:
        """Two RMs never meet; the TM's decision ends its hearing, and there is only one."""
        (who, kind), (whom, its) = divmod(one, KINDS), divmod(other, KINDS)
        if kind >= COMMIT or its >= COMMIT:
            return kind < RECEIVE or its < RECEIVE
        if who != whom:
            return True
        alike = [at for at in self.places if state >> at & LOCAL == who] if self.symmetric else []
        return one != other and len(alike) > 1

    def words(self, label: Label) -> str:
        who, kind = divmod(label, KINDS)
        return WORDS[kind].format(WHO[who & STATE] if self.symmetric else f"rm{who + 1}")
