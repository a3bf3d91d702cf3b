"""The misuse rows of iommufd (domain file, section 4): each executed, the same errno."""

from collections.abc import Callable
from typing import Final

import pytest

from protocol.errors import Errno
from protocol.messages import AnyMessage, Done, Refused
from protocol.messages.iommu_core import AttachDevicePasid, AttachGroupHandle, ClaimDmaOwner
from protocol.messages.iommufd import (
    AllocDomain,
    AllocFaultQueue,
    AllocHwpt,
    AllocIoas,
    AnswerFault,
    AttachPt,
    BindDevice,
    DestroyObject,
    DetachPt,
    FaultsGot,
    MakeMockDevice,
    PtGot,
    ReadFaults,
    ReplacePt,
    TriggerFault,
)
from tests.actors.iommufd_hands import Hands

IOAS, A, B, PASIDS, PLAIN, PARENT, NESTED, QUEUE, FAULTY, MOCK = range(1, 11)
GONE: Final = 99
CALL: Final = 7
"""Ids of what is there: devices A and B of one group, page tables of all kinds, a mock device."""


def furnished() -> Hands:
    """A context with one of each."""
    hands = Hands()
    assert hands.made(AllocIoas(1)) == IOAS
    assert hands.made(BindDevice(1, "dev1a", "dev1")) == A
    assert hands.made(BindDevice(1, "dev1b", "dev1")) == B
    assert hands.made(AllocHwpt(1, A, IOAS, ("PASID",))) == PASIDS
    assert hands.made(AllocHwpt(1, A, IOAS)) == PLAIN
    assert hands.made(AllocHwpt(1, A, IOAS, ("NEST_PARENT",))) == PARENT
    assert hands.made(AllocHwpt(1, A, PARENT, ("PASID",), nested=True)) == NESTED
    assert hands.made(AllocFaultQueue(1)) == QUEUE
    flags = ("PASID", "FAULT_ID_VALID")
    assert hands.made(AllocHwpt(1, A, PARENT, flags, QUEUE, nested=True)) == FAULTY
    hands.ask(MakeMockDevice(1, "dev2", "dev2", PASIDS))
    return hands


def refused(errno: str) -> Refused:
    """With this errno."""
    return Refused(CALL, Errno(errno))


def attached(pasid: int, hwpt: int, device: int = A) -> Callable[[Hands], None]:
    """Before."""

    def before(hands: Hands) -> None:
        assert hands.ask(AttachPt(3, device, pasid, hwpt)) == PtGot(3, hwpt)

    return before


def refusing(kind: type, errno: Errno) -> Callable[[Hands], None]:
    """The next question of this kind is refused."""
    return lambda hands: hands.refuse.update({kind: errno})


def nothing(_hands: Hands) -> None:
    """Everything is as it was made."""


def unread(hands: Hands) -> None:
    """A page request waits for the reader."""
    attached(5, FAULTY)(hands)
    hands.ask(TriggerFault(4, A, 5, 1))


def read(hands: Hands) -> None:
    """And has cookie 1."""
    unread(hands)
    hands.ask(ReadFaults(4, QUEUE, 4))


def late(hands: Hands) -> None:
    """And has been answered by detach."""
    read(hands)
    hands.ask(DetachPt(4, A, 5))


Row = tuple[str, Callable[[Hands], None], AnyMessage, AnyMessage]
ROWS: Final[tuple[Row, ...]] = (
    (
        "bind: as the claim",
        refusing(ClaimDmaOwner, Errno.EPERM),
        BindDevice(CALL, "d", "d"),
        refused("EPERM"),
    ),
    ("alloc: unknown flag", nothing, AllocHwpt(CALL, GONE, GONE, ("ODD",)), refused("EOPNOTSUPP")),
    ("alloc: no such device", nothing, AllocHwpt(CALL, GONE, GONE), refused("ENOENT")),
    ("alloc: device of another kind", nothing, AllocHwpt(CALL, IOAS, IOAS), refused("ENOENT")),
    ("alloc: no such pt", nothing, AllocHwpt(CALL, A, GONE), refused("EINVAL")),
    ("alloc: pt of another kind", nothing, AllocHwpt(CALL, A, B), refused("EINVAL")),
    (
        "alloc: a nested one is no parent",
        nothing,
        AllocHwpt(CALL, A, NESTED, nested=True),
        refused("EINVAL"),
    ),
    (
        "alloc: fault with NEST_PARENT",
        nothing,
        AllocHwpt(CALL, A, IOAS, ("NEST_PARENT", "FAULT_ID_VALID"), QUEUE),
        refused("EOPNOTSUPP"),
    ),
    ("alloc: data for an IOAS", nothing, AllocHwpt(CALL, A, IOAS, nested=True), refused("EINVAL")),
    ("alloc: nested without data", nothing, AllocHwpt(CALL, A, PARENT), refused("EOPNOTSUPP")),
    (
        "alloc: nested with DIRTY",
        nothing,
        AllocHwpt(CALL, A, PARENT, ("DIRTY_TRACKING",), nested=True),
        refused("EOPNOTSUPP"),
    ),
    ("alloc: no nest parent", nothing, AllocHwpt(CALL, A, PLAIN, nested=True), refused("EINVAL")),
    (
        "alloc: no such fault queue",
        nothing,
        AllocHwpt(CALL, A, IOAS, ("FAULT_ID_VALID",), GONE),
        refused("ENOENT"),
    ),
    (
        "alloc: the driver does not support it",
        refusing(AllocDomain, Errno.EOPNOTSUPP),
        AllocHwpt(CALL, A, IOAS, ("DIRTY_TRACKING",)),
        refused("EOPNOTSUPP"),
    ),
    ("destroy: not found", nothing, DestroyObject(CALL, GONE), refused("ENOENT")),
    ("destroy: attached", attached(5, PASIDS), DestroyObject(CALL, PASIDS), refused("EBUSY")),
    ("destroy: has children", nothing, DestroyObject(CALL, PARENT), refused("EBUSY")),
    ("destroy: IOAS with page tables", nothing, DestroyObject(CALL, IOAS), refused("EBUSY")),
    ("destroy: a bound device", nothing, DestroyObject(CALL, A), refused("EBUSY")),
    ("destroy: a queue whose file is open", nothing, DestroyObject(CALL, QUEUE), refused("EBUSY")),
    ("attach: no such pt", nothing, AttachPt(CALL, A, 5, GONE), refused("ENOENT")),
    ("attach: pt of another kind", nothing, AttachPt(CALL, A, 5, B), refused("EINVAL")),
    (
        "attach: this device has it",
        attached(5, PASIDS),
        AttachPt(CALL, A, 5, NESTED),
        refused("EBUSY"),
    ),
    (
        "attach: before its fitness is looked at",
        attached(5, PASIDS),
        AttachPt(CALL, A, 5, PLAIN),
        refused("EBUSY"),
    ),
    (
        "attach: a sibling has another",
        attached(5, PASIDS),
        AttachPt(CALL, B, 5, NESTED),
        refused("EINVAL"),
    ),
    (
        "attach: a sibling has the same",
        attached(5, PASIDS),
        AttachPt(CALL, B, 5, PASIDS),
        PtGot(CALL, PASIDS),
    ),
    ("attach: not for PASIDs", nothing, AttachPt(CALL, A, 5, PLAIN), refused("EINVAL")),
    ("attach: an IOAS never is", nothing, AttachPt(CALL, A, 5, IOAS), refused("EINVAL")),
    (
        "attach: RID not for PASIDs",
        attached(0, PLAIN),
        AttachPt(CALL, A, 5, PASIDS),
        refused("EINVAL"),
    ),
    (
        "attach: RID, with PASIDs",
        attached(5, PASIDS),
        AttachPt(CALL, A, 0, PLAIN),
        refused("EINVAL"),
    ),
    (
        "attach: RID to an IOAS, with PASIDs",
        attached(5, PASIDS),
        AttachPt(CALL, A, 0, IOAS),
        refused("EINVAL"),
    ),
    ("attach: RID to an IOAS", nothing, AttachPt(CALL, A, 0, IOAS), PtGot(CALL, 12)),
    (
        "attach: as the core",
        refusing(AttachDevicePasid, Errno.EINVAL),
        AttachPt(CALL, A, 5, FAULTY),
        refused("EINVAL"),
    ),
    (
        "attach: as the core, RID",
        refusing(AttachGroupHandle, Errno.EBUSY),
        AttachPt(CALL, A, 0, PLAIN),
        refused("EBUSY"),
    ),
    (
        "attach: no such mock device",
        nothing,
        AttachPt(CALL, A, 5, PASIDS, mock=True),
        refused("ENOENT"),
    ),
    ("replace: nothing attached", nothing, ReplacePt(CALL, A, 5, PASIDS), refused("EINVAL")),
    (
        "replace: by siblings only",
        attached(5, PASIDS, B),
        ReplacePt(CALL, A, 5, NESTED),
        refused("EINVAL"),
    ),
    ("replace: the same", attached(5, PASIDS), ReplacePt(CALL, A, 5, PASIDS), PtGot(CALL, PASIDS)),
    (
        "replace: not for PASIDs",
        attached(5, PASIDS),
        ReplacePt(CALL, A, 5, PLAIN),
        refused("EINVAL"),
    ),
    ("replace: with an IOAS", attached(5, PASIDS), ReplacePt(CALL, A, 5, IOAS), refused("EINVAL")),
    ("replace: no such pt", attached(5, PASIDS), ReplacePt(CALL, A, 5, GONE), refused("ENOENT")),
    ("detach: nothing attached", nothing, DetachPt(CALL, A, 5), Done(CALL)),
    ("detach: by a sibling only", attached(5, PASIDS, B), DetachPt(CALL, A, 5), Done(CALL)),
    ("read: nothing there", nothing, ReadFaults(CALL, QUEUE, 0), FaultsGot(CALL, ())),
    ("read: too small for one", unread, ReadFaults(CALL, QUEUE, 0), refused("EINVAL")),
    ("write: unknown cookie", nothing, AnswerFault(CALL, QUEUE, 1, 0), refused("EINVAL")),
    ("write: bad code", read, AnswerFault(CALL, QUEUE, 1, 5), refused("EINVAL")),
    ("write: too late", late, AnswerFault(CALL, QUEUE, 1, 0), refused("EINVAL")),
    ("write: in time", read, AnswerFault(CALL, QUEUE, 1, 0), Done(CALL)),
)


@pytest.mark.parametrize(
    ("before", "request_", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_a_misuse_is_answered_as_the_kernel_answers_it(
    before: Callable[[Hands], None], request_: AnyMessage, expected: AnyMessage
) -> None:
    hands = furnished()
    before(hands)
    had = {at: found.users for at, found in hands.context.objects.items()}
    assert hands.ask(request_) == expected
    assert not hands.context.tasks
    assert not hands.context.locks
    if isinstance(expected, Refused):
        assert {at: found.users for at, found in hands.context.objects.items()} == had
