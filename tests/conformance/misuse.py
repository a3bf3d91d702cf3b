"""Misuse of the IOMMU core's calls, row by row: what is wrong, and what the kernel says to it.

The rows of a call stand in the order in which 7.3 checks.  A row has what happened `before`, what
is wrong in the call itself (`wrong`, fields of the message that differ from a call that is right),
and the answer.  `asked`: how often the driver is called.
"""

from typing import Any, Final

from msgspec import Struct

from protocol.domains import BLOCKING
from protocol.errors import Errno
from protocol.messages import AnyMessage
from protocol.messages.iommu_core import (
    AllocGlobalPasid,
    AttachDevicePasid,
    AttachGroupHandle,
    AttachHandleGet,
    ClaimDmaOwner,
    DetachDevicePasid,
    FreeGlobalPasid,
    ReplaceDevicePasid,
    ReplaceGroupHandle,
    ResetPrepare,
)
from protocol.names import INVALID_PASID

RIGHT: Final[dict[str, AnyMessage]] = {
    "attach": AttachDevicePasid(5, "b0", 1, 7, "p0", "h"),
    "replace": ReplaceDevicePasid(5, "b0", 1, 7, "p1", "k"),
    "detach": DetachDevicePasid(5, "b0", 1, 7, "p0"),
    "handle_get": AttachHandleGet(5, "g2", 1, ""),
    "attach_group": AttachGroupHandle(5, "g2", "p0", "h"),
    "replace_group": ReplaceGroupHandle(5, "g2", "p1", "k"),
    "claim": ClaimDmaOwner(5, "b0", "o"),
    "alloc_global": AllocGlobalPasid(5, "b1"),
    "free_global": FreeGlobalPasid(5, 1, 7),
}
"""Each call as it is right."""

ATTACHED: Final = AttachDevicePasid(1, "b1", 1, 7, "p0", "x")
NO_HANDLE: Final = AttachDevicePasid(1, "b1", 1, 7, "p0", "")
SAME_HANDLE: Final = AttachDevicePasid(1, "b1", 1, 7, "p0", "k")
RID: Final = AttachGroupHandle(1, "g2", "p0", "r")
RESET: Final = ResetPrepare(1, "b1")
OWNED: Final = ClaimDmaOwner(1, "b1", "x")


class Row(Struct, frozen=True):
    """One row; without an `errno` the call succeeds."""

    call: str
    what: str
    errno: Errno | None
    wrong: dict[str, Any] = {}
    before: tuple[AnyMessage, ...] = ()
    asked: int = 0
    fails: str = ""


def _attaching(call: str) -> list[Row]:
    """What attach and replace have in common, before the slot is looked at."""
    return [
        Row(call, "no group", Errno.ENODEV, {"device": "n0"}),
        Row(call, "the domain cannot set a PASID", Errno.EOPNOTSUPP, {"domain": "unable"}),
        Row(call, "domain of another driver", Errno.EINVAL, {"domain": "theirs"}),
        Row(call, "PASID 0", Errno.EINVAL, {"pasid": 0}),
    ]


ROWS: Final = [
    Row("alloc_global", "max_pasids 0", Errno.ENOSPC, {"device": "d0"}),
    Row("alloc_global", "range full", Errno.ENOSPC, {}, (AllocGlobalPasid(1, "b1"),) * 7),
    Row("alloc_global", "no memory", Errno.ENOSPC, fails="iommu_core.alloc_global.number"),
    Row("free_global", "INVALID", None, {"pasid": INVALID_PASID}),
    Row("free_global", "not out", None),
    *_attaching("attach"),
    Row("attach", "group in recovery", Errno.EBUSY, {}, (RESET,)),
    Row("attach", "beyond the limit of the other device", Errno.EINVAL, {"pasid": 8}),
    Row("attach", "beyond the limit of every device", Errno.EINVAL, {"pasid": 16}),
    Row("attach", "slot taken", Errno.EBUSY, {}, (ATTACHED,)),
    Row("attach", "slot taken without a handle", Errno.EBUSY, {}, (NO_HANDLE,)),
    Row("attach", "no memory", Errno.ENOMEM, fails="iommu_core.attach.slot"),
    Row("attach", "no device has PASIDs", None, {"device": "d0", "pasid": 99}),
    Row("attach", "the static blocking domain", None, {"domain": BLOCKING.name}, asked=2),
    Row("attach", "no handle", None, {"handle": ""}, asked=2),
    *_attaching("replace"),
    Row("replace", "no handle", Errno.EINVAL, {"handle": ""}, (ATTACHED,)),
    Row("replace", "group in recovery", Errno.EBUSY, {}, (ATTACHED, RESET)),
    Row("replace", "slot empty", Errno.EINVAL),
    Row("replace", "beyond the limit, so empty", Errno.EINVAL, {"pasid": 16}),
    Row("replace", "same handle again", Errno.EINVAL, {}, (SAME_HANDLE,)),
    Row("replace", "same domain, new handle", None, {"domain": "p0"}, (ATTACHED,)),
    Row("replace", "slot without a handle", None, {}, (NO_HANDLE,), asked=2),
    Row("detach", "wrong domain", None, {"domain": "nested"}, (ATTACHED,), asked=2),
    Row("detach", "not attached", None, asked=2),
    Row("handle_get", "none", Errno.ENOENT),
    Row("handle_get", "no handle", Errno.ENOENT, {}, (NO_HANDLE,)),
    Row("handle_get", "type given and different", Errno.EBUSY, {"kind": "SVA"}, (ATTACHED,)),
    Row("handle_get", "no handle, whatever type", Errno.ENOENT, {"kind": "SVA"}, (NO_HANDLE,)),
    Row("attach_group", "no handle", Errno.EINVAL, {"handle": ""}),
    Row("attach_group", "RID slot taken", Errno.EBUSY, {}, (RID,)),
    Row("replace_group", "no handle", Errno.EINVAL, {"handle": ""}),
    Row("replace_group", "RID slot taken", None, {}, (RID,)),
    Row("claim", "no owner", Errno.EINVAL, {"owner": ""}),
    Row("claim", "other owner", Errno.EPERM, {}, (OWNED,)),
    Row("claim", "RID not on default domain", Errno.EBUSY, {}, (RID,)),
    Row("claim", "a PASID attached", Errno.EBUSY, {}, (ATTACHED,)),
    Row("claim", "same owner again", None, {"owner": "x"}, (OWNED,)),
]
OLD_ROWS: Final = [
    Row("attach", "cannot, and no group", Errno.EOPNOTSUPP, {"device": "n0", "domain": "unable"}),
    Row("attach", "no group", Errno.ENODEV, {"device": "n0"}),
    Row("attach", "beyond a limit, and taken", Errno.EINVAL, {"pasid": 8}, (ATTACHED,)),
    Row("attach_group", "no handle", None, {"handle": ""}),
    Row("replace_group", "no handle", Errno.EINVAL, {"handle": ""}),
    Row("detach", "not attached", None, asked=2),
    Row("handle_get", "no handle", Errno.ENOENT, {}, (NO_HANDLE,)),
    Row("claim", "other owner", Errno.EPERM, {}, (OWNED,)),
]
"""Linux 6.12, where it is otherwise or was recorded."""
