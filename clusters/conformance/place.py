"""Where a call stands among the operations of a trace."""

from msgspec import Struct

from clusters.conformance.calls import Call


class Place(Struct, frozen=True):
    """A call as operation number `at`."""

    at: int
    call: Call
    callbacks: tuple[Call, ...]
