"""What the VT-d driver remembers: its svms, and the operations that are under way (§1.6, §1.7).

Kernel: struct intel_svm, struct intel_svm_dev in include/linux/intel-iommu.h, as V4 has them.
"""

from enum import Enum
from typing import Final, TypeAlias, assert_never

from msgspec import Struct, field

from actors.iommu_driver.native_state import Hold, MmStep, Release
from actors.iommu_driver.reset_state import Reset
from protocol.errors import Errno
from protocol.messages import BindGpasid, PageResponse, UnbindGpasid
from protocol.names import Call, Gpasid, Incarnation, Name, Pasid

MUTEX: Final = "pasid_mutex"


class DevState(Enum):
    """Being written; bound, and found by PRQ thread, page responses, unbind; in its teardown."""

    NEW = "new"
    LINKED = "linked"
    UNLINKED = "unlinked"


class SvmDev(Struct):
    """One (PASID, device), bound `through` it or an mdev; `pending`: unanswered groups' ghosts."""

    did: int
    through: list[Name]
    state: DevState = DevState.NEW
    pending: dict[int, Incarnation] = field(default_factory=dict)
    users: int = 1


class Svm(Struct):
    """One bound PASID: it exists exactly while we hold its reference `svm`.

    `id` is the core's private data.  `has_data`, `has_spid`, or `holds` of a `native` one: what
    core and mm hold of it, so that whoever ends the svm undoes just that.
    """

    id: int
    pasid: Pasid
    incarnation: Incarnation
    vm: Name
    gpasid: Gpasid
    table: int
    devices: dict[Name, SvmDev] = field(default_factory=dict)
    has_data: bool = False
    has_spid: bool = False
    work_queued: bool = False
    native: bool = False
    holds: list[Hold] = field(default_factory=list)

    def object(self, device: Name = "") -> str:
        """What facts call its memory, or that of one of its svm_devs."""
        return f"svm{self.id}/{device}" if device else f"svm{self.id}"


class Mutex(Struct):
    """pasid_mutex: who holds it and who waits, in order, by the numbers of tasks."""

    holder: Call | None = None
    waiters: list[Call] = field(default_factory=list)


class Detaching(Struct, frozen=True):
    """A DetachDomain that waits for the last svm_dev of its VM on its device."""

    asker: Name
    call: Call
    device: Name
    vm: Name


class Step(Enum):
    """What a task waits for: the mutex, the answer to a call, or what somebody else is doing."""

    MUTEX = "mutex"
    FIND_PASID = "FindPasid"
    GET_PASID = "GetPasid"
    ATTACH_DATA = "AttachData"
    WRITE_ENTRY = "WriteEntry"
    ATTACH_SPID = "AttachSpid"
    CLEAR_PRESENT = "ClearPresent"
    INVALIDATE_PASID_CACHE = "InvalidatePasidCache"
    INVALIDATE_IOTLB = "InvalidateIotlb"
    INVALIDATE_DEV_TLB = "InvalidateDevTlb"
    ZERO_ENTRY = "ZeroEntry"
    READ_PRQ = "ReadPrq"
    ROUND_THEN_SCAN = "a PRQ round, then ReadPrq"
    FLUSH_FAULTS = "FlushFaults"
    MUTEX_AGAIN = "mutex again"
    DRAIN_REQUESTS = "DrainRequests"
    ROUND_THEN_DRAIN = "a PRQ round, then DrainRequests"
    OTHER_TEARDOWN = "a teardown begun by somebody else"
    DETACH_SPID = "DetachSpid"
    DETACH_DATA = "DetachData"
    PUT_PASID = "PutPasid"
    ADVANCE_PRQ = "AdvancePrq"
    WOKEN = "its turn to run"


class Bind(Struct, tag=True):
    """BindGpasid.  `first`: it made the svm.  `errno`: it has failed and undoes what it did."""

    number: Call
    pasid: Pasid
    device: Name
    asker: Name
    request: BindGpasid
    step: Step | MmStep = Step.MUTEX
    first: bool = False
    errno: Errno | None = None


class Unbind(Struct, tag=True):
    """UnbindGpasid, or UnbindMm in its words, as a Bind is BindMm in those of BindGpasid."""

    number: Call
    pasid: Pasid
    device: Name
    asker: Name
    request: UnbindGpasid
    step: Step | MmStep = Step.MUTEX


class Work(Struct, tag=True):
    """The work that FREE queued, now at `device`; a `notify:` is its own handler's, unqueued."""

    number: Call
    pasid: Pasid
    work: str
    incarnation: Incarnation
    device: Name = ""
    step: Step | MmStep = Step.MUTEX


class Response(Struct, tag=True):
    """PageResponse: it waits for the mutex and for nothing else."""

    number: Call
    asker: Name
    request: PageResponse


class Round(Struct, tag=True):
    """One pass of the PRQ thread of `unit`; `again`: it was interrupted meanwhile."""

    number: Call
    unit: Name
    step: Step = Step.WOKEN
    again: bool = False


class Registration(Struct, tag=True):
    """RegisterNotifier for the global chain."""

    number: Call


Operation: TypeAlias = Bind | Unbind | Work  # It may tear down (device, PASID).
Locker: TypeAlias = Operation | Response  # It takes the mutex.
Task: TypeAlias = Locker | Round | Registration | Reset | Release


def name_of(task: Locker) -> str:
    """How facts call the task."""
    match task:
        case Bind():
            return f"bind:{task.number}"
        case Unbind():
            return f"unbind:{task.number}"
        case Work():
            return task.work if task.work.startswith("notify:") else f"teardown:{task.number}"
        case Response():
            return f"response:{task.number}"
        case _:
            assert_never(task)


def vm_for(task: Operation, svm: Svm) -> Name:
    """On whose behalf the task tears down; after FREE the driver does it on its own."""
    return svm.vm if isinstance(task, Work) else task.request.vm


def why_of(task: Operation) -> str:
    """Why the task tears down."""
    match task:
        case Bind():
            return "rollback"
        case Unbind():
            return task.request.why
        case Work():
            return "free"
        case _:
            assert_never(task)
