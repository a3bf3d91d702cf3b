"""What every message is, and the ones that any actor may get."""

from msgspec import Struct

from protocol.errors import Errno
from protocol.names import Call, Gpasid, Incarnation, Name, Pasid


class Message(Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A message: a frozen value, on the wire an array that begins with its type's name.

    Requests carry a `call`, their answer echoes it.  Unless its docstring says otherwise a request
    is answered by `Done` or by `Refused` with the kernel's errno, exactly once.
    """


class Done(Message, frozen=True, tag=True):
    """The request succeeded and there is nothing to add (return 0)."""

    call: Call


class Refused(Message, frozen=True, tag=True):
    """The request failed and changed nothing that its sender can see, with the kernel's errno."""

    call: Call
    errno: Errno


class Start(Message, frozen=True, tag=True):
    """supervisor -> every actor, first of all: register, open, begin.  Not answered."""


class TimerFired(Message, frozen=True, tag=True):
    """supervisor -> the actor that asked for it with `out.set_timer(timer)`.  Not answered."""

    timer: str


class HostLost(Message, frozen=True, tag=True):
    """supervisor -> every other actor: `name` died and will not come back.  Not answered.

    Whoever waits for its answer stops waiting: the core takes BAD from a lost subscriber, the
    workqueue drops its work, others take the answer as `Refused(ENODEV)`.
    """

    name: Name


class ReleaseFds(Message, frozen=True, tag=True):
    """guest or supervisor -> VFIO, KVM and each VDCM: QEMU is gone, its files are closed (§4.8).

    Arrives in any order at the three; each cleans up what it holds for `vm`.  Not answered.
    """

    vm: Name


class Told(Message, frozen=True, tag=True):
    """process -> process: a variable's value, because the other's script names it.

    Not answered.
    """

    variable: str
    pasid: Pasid
    incarnation: Incarnation
    gpasid: Gpasid


CommonMessage = Done | Refused | Start | TimerFired | Told | HostLost | ReleaseFds
"""All of them."""
