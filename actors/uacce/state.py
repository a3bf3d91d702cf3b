"""What the driver of an accelerator's character device remembers: files, and what it is asked."""

from enum import Enum
from typing import Final, TypeAlias

from msgspec import Struct

from protocol.messages import BindFile, DupFiles, OpenFile, PutFile, ReleaseFds, UnbindFile
from protocol.names import Call, Incarnation, Name, Pasid

Request: TypeAlias = OpenFile | BindFile | UnbindFile | PutFile | DupFiles | ReleaseFds

CALL: Final[Call] = 1
"""One request at a time, and one call of it: one number is enough."""


class Step(Enum):
    """What the request in hand waits for."""

    BEGIN = "its turn"
    BIND = "BindMm"
    ENABLE = "EnableWq"
    STOP = "DisableWq"
    UNBIND = "UnbindMm"


class Bond(Struct, frozen=True):
    """The life of the opener's PASID that the file is bound to."""

    pasid: Pasid
    incarnation: Incarnation


class File(Struct):
    """`holders` have a descriptor, in order; `mapped`: the opener still maps the portal."""

    holders: list[Name]
    mapped: bool = True
    bond: Bond | None = None


class Asked(Struct, frozen=True):
    """A request and whose it is."""

    sender: Name
    request: Request
