"""What the VDCM keeps for a VM's virtual device: slots, works, and tasks that wait (§4.6)."""

from enum import Enum
from typing import TypeAlias

from msgspec import Struct, field

from actors.vdcm.submission import Submission
from protocol.errors import Errno
from protocol.messages import NotifyBind
from protocol.names import Call, Gpasid, Incarnation, Name, Pasid


class Phase(Enum):
    """CLOSED: nobody has opened it yet.  GONE: QEMU's files are closed, and that is final."""

    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    GONE = "gone"


class Kind(Enum):
    """What a slot is: the WQ of a VM, its interrupt message storage entry, a right to submit."""

    WQ = "wq"
    IMS = "ims"
    SWQ = "swq"


class Dying(Enum):
    """Why the PASID has to leave its slot, if it has to; a FREE also aborts what runs with it."""

    NO = "no"
    UNBIND = "unbind"
    FREE = "free"


class Slot(Struct):
    """A place for a PASID; while one is in it, it owns one reference.

    A shared WQ is in use without a PASID; the rights to submit on it are slots of their own, one
    for each PASID.  Task `holder` is at work on the slot, `waiting` come after it; 0 is nobody.
    """

    vm: Name
    kind: Kind
    pasid: Pasid = 0
    incarnation: Incarnation = 0
    in_use: bool = False
    dying: Dying = Dying.NO
    holder: Call = 0
    waiting: list[Call] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """What the reference is called in the ledger."""
        return f"{self.vm}:{self.kind.value}"

    @property
    def work(self) -> str:
        """What the work is called that takes the PASID out."""
        return f"{self.vm}:{self.kind.value}:{self.pasid}"


class WorkState(Enum):
    """NO_MEMORY: a timer tries again.  STALE: others have done it, so its turn changes nothing."""

    NO_MEMORY = "no memory"
    QUEUED = "queued"
    RUNNING = "running"
    STALE = "stale"


class Work(Struct):
    """A work from the notification to WorkDone."""

    slot: str
    pasid: Pasid
    incarnation: Incarnation
    state: WorkState = WorkState.NO_MEMORY


class Open(Struct, frozen=True, tag=True):
    """OpenVdev, until the core has registered the notifier."""

    guest: Name
    vm: Name
    call: Call


class Close(Struct, frozen=True, tag=True):
    """ReleaseFds, until the notifier is off the chain; between one Clear and another."""

    vm: Name


class ProgramStep(Enum):
    """What programming waits for."""

    SLOT = "slot"
    FIND = "find"
    DEVICE = "device"
    PUT = "put"


class Program(Struct, tag=True):
    """EnableVwq or WriteVims; `errno` is the device's refusal while its reference goes back."""

    guest: Name
    call: Call
    slot: str
    gpasid: Gpasid
    step: ProgramStep = ProgramStep.SLOT
    errno: Errno | None = None


class RightStep(Enum):
    """What a BIND waits for."""

    SLOT = "slot"
    GET = "get"


class Right(Struct, tag=True):
    """BIND, until the right to submit is ours or refused."""

    notification: NotifyBind
    slot: str
    step: RightStep = RightStep.SLOT


class Why(Enum):
    """A guest's DisableVwq, ResetVdev, WriteVims; a work; a close, on the chain and off it."""

    DISABLE = "disable"
    RESET = "reset"
    VIMS = "vims"
    WORK = "work"
    STOP = "stop"
    RELEASE = "release"


class ClearStep(Enum):
    """What clearing a slot waits for."""

    SLOT = "slot"
    QUIESCE = "quiesce"
    INVALIDATE_DEV_TLB = "InvalidateDevTlb"
    DRAIN_REQUESTS = "DrainRequests"
    PUT = "put"


class Clear(Struct, tag=True):
    """Slots to clear, one after the other; the first is under way.

    With `abort` it may not wait for a guest; `hurried`: another told the device to abort, and that
    has to be over, too.  `guest` and `call` are whom to answer, `work` is the name of the work that
    it is.
    """

    why: Why
    vm: Name
    slots: list[str]
    abort: bool = False
    guest: Name = ""
    call: Call = 0
    work: str = ""
    step: ClearStep = ClearStep.SLOT
    hurried: bool = False


class Drain(Struct, frozen=True, tag=True):
    """DrainVwq, until the device has none of the VM's descriptors."""

    guest: Name
    call: Call


class Hurry(Struct, frozen=True, tag=True):
    """An abort for the quiescing of `holder`, which would wait for a guest."""

    holder: Call = 0


Task: TypeAlias = Open | Close | Program | Right | Clear | Drain | Hurry | Submission
"""What is under way; each asks for one thing at a time, and the answer finds it by its number."""


def key_of(vm: Name, kind: Kind, pasid: Pasid = 0) -> str:
    """How `slots` knows a slot; a VM has many rights to submit, one for each PASID."""
    return f"{vm}:{kind.value}:{pasid}" if kind is Kind.SWQ else f"{vm}:{kind.value}"
