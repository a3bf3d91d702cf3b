"""What the processes state about their operations."""

from enum import Enum

from protocol.facts.event import Event
from protocol.names import Incarnation, Name, Pasid


class Outcome(Enum):
    """How an operation ended, in Jepsen's words: `info` is indefinite."""

    OK = "ok"
    FAIL = "fail"
    INFO = "info"


class OpInvoked(Event, frozen=True, tag="op.invoke"):
    """guest: operation number `op` of its script or mix begins."""

    op: int
    operation: str
    pasid: Pasid = 0
    incarnation: Incarnation = 0
    device: Name = ""


class OpOk(Event, frozen=True, tag="op.ok"):
    """guest: it succeeded.  `expected`: what its script wants ("" anything), `met`: got it."""

    op: int
    operation: str
    expected: str = ""
    met: bool = True


class OpFail(Event, frozen=True, tag="op.fail"):
    """guest: it was refused with `errno` (or fault, abort, exit72)."""

    op: int
    operation: str
    errno: str
    expected: str = ""
    met: bool = True


class OpInfo(Event, frozen=True, tag="op.info"):
    """guest: it will never be known (the actor asked was lost)."""

    op: int
    operation: str
    expected: str = ""
    met: bool = True


class VmExited(Event, frozen=True, tag="vm.exited"):
    """guest or supervisor: QEMU is gone; what follows is the release of its files."""

    vm: Name
