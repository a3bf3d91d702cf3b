"""The arguments that the calls of the IOASID core come with, checked first."""

from typing import Final

from clusters.conformance.calls import Call
from protocol.errors import ExperimentError

U32: Final = (1 << 32) - 1
NAME: Final = (str, type(None))
NUMBER: Final = (int,)

ARGS: Final[dict[str, dict[str, tuple[type, ...]]]] = {
    "ioasid_alloc": {"set": NAME, "min": NUMBER, "max": NUMBER, "private": NAME},
    "ioasid_free": {"ioasid": NUMBER},
    "ioasid_find": {"set": NAME, "ioasid": NUMBER, "getter": NAME},
    "ioasid_set_data": {"ioasid": NUMBER, "private": NAME},
    "ioasid_register_allocator": {"allocator": NAME},
    "ioasid_unregister_allocator": {"allocator": NAME},
}
CALLBACK_ARGS: Final[dict[str, dict[str, tuple[type, ...]]]] = {
    "custom_alloc_": {"min": NUMBER, "max": NUMBER, "private": NAME},
    "custom_free_": {"ioasid": NUMBER, "private": NAME},
    "getter": {"private": NAME},
}


def check_args(call: Call, wanted: dict[str, tuple[type, ...]]) -> None:
    """A call has the arguments of its function, each a number or a name."""
    for name, kinds in wanted.items():
        if name not in call.args:
            raise ExperimentError(f"call {call.n} ({call.call}): args have no '{name}'")
        value = call.args[name]
        if value.__class__ not in kinds or (isinstance(value, int) and not 0 <= value <= U32):
            what = "a number of 32 bits" if kinds is NUMBER else "a name or null"
            raise ExperimentError(f"call {call.n} ({call.call}): args.{name} is not {what}")
