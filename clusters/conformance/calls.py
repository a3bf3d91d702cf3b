"""What was recorded: one call, of one task, from its entry to its return."""

from typing import Final, TypeAlias

from msgspec import Struct

Value: TypeAlias = int | str | bool | None
"""An argument or a result: a number, a name (of what a pointer pointed to), or nothing (NULL)."""

CALLS_MAX: Final = 2_000_000
TEXT_MAX: Final = 200
ARGS_MAX: Final = 16


class Call(Struct, frozen=True, kw_only=True):
    """`seq_invoke` and `seq_return` are places of the two events in the trace, which has no ties.

    `parent` is the call (its `n`) that this one happened in.  Without a `seq_return` the recording
    ended before the call did.
    """

    n: int
    task: str
    pid: int
    cpu_in: int
    cpu_out: int | None
    seq_invoke: int
    seq_return: int | None
    kind: str
    parent: int | None
    call: str
    args: dict[str, Value]
    ret: Value


def said(value: Value) -> str:
    """A value as one writes it."""
    return "NULL" if value is None else str(value)


def shown(call: Call) -> str:
    """`ioasid_find(S1, 5, getter)`."""
    return f"{call.call}({', '.join(said(value) for value in call.args.values())})"
