"""The life of one PASID number in the IOASID core, as one table (§2).

Source: "[PATCH V4 00/18] IOASID extensions", Documentation/driver-api/ioasid.rst "Life cycle":
FREE, IDLE, ACTIVE, FREE_PENDING.  A pair that is not in the table does not happen.
"""

from enum import Enum


class State(Enum):
    """FREE: in the pool.  IDLE: the owner's reference only.  ACTIVE: others hold references too.

    FREE_PENDING: freed by its owner, still held by somebody; not usable, not yet back in the pool.
    """

    FREE = "FREE"
    IDLE = "IDLE"
    ACTIVE = "ACTIVE"
    FREE_PENDING = "FREE_PENDING"


class Move(Enum):
    """What can happen to a PASID."""

    ALLOC = "alloc"
    FIRST_GET = "first get"
    GET = "get"
    PUT = "put"
    LAST_PUT = "last put"
    FREE = "free"


LIFECYCLE: dict[State, dict[Move, State]] = {
    State.FREE: {Move.ALLOC: State.IDLE},
    State.IDLE: {Move.FIRST_GET: State.ACTIVE, Move.FREE: State.FREE},
    State.ACTIVE: {
        Move.GET: State.ACTIVE,
        Move.PUT: State.ACTIVE,
        Move.LAST_PUT: State.IDLE,
        Move.FREE: State.FREE_PENDING,
    },
    # ioasid_free() may be called again while references are out; it changes nothing.
    State.FREE_PENDING: {
        Move.FREE: State.FREE_PENDING,
        Move.PUT: State.FREE_PENDING,
        Move.LAST_PUT: State.FREE,
    },
}
"""LAST_PUT is the last put of a reference that is not the owner's; in FREE_PENDING, of any."""


def move(state: State, what: Move) -> State:
    """The state after `what`; a pair outside the table is our own bug."""
    after = LIFECYCLE[state].get(what)
    assert after is not None, f"a PASID that is {state.value} cannot {what.value}"
    return after
