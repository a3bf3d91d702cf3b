"""The driver core takes devices for drivers that use the DMA API: owners without a name.

They are counted with the others; whoever claims a group that drivers use gets EPERM.  That the RID
is elsewhere, or a PASID attached, is looked at only when somebody counts already.

Kernel: iommu_device_use_default_domain, iommu_device_unuse_default_domain of 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_core.state import GroupState
from protocol.domains import DEFAULT, NULL
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.iommu_core import DmaOwnerChanged
from protocol.messages import Done, Refused
from protocol.messages.probing import UnuseDefaultDomain, UseDefaultDomain
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommu_core import IommuCore


def on_use(
    core: IommuCore, group: GroupState | None, use: UseDefaultDomain, sender: Name, out: Out
) -> None:
    """One more, who wants DMA without PASID to go where the core says."""
    errno = None if group is None else core.use_refusal(group)
    if errno is not None:
        out.send(sender, Refused(use.call, errno))
        return
    if group is not None:
        group.claims += 1
        out.record(DmaOwnerChanged(group.name, NULL, group.claims))
    out.send(sender, Done(use.call))


def use_refusal(_core: IommuCore, group: GroupState) -> Errno | None:
    """EPROBE_DEFER: the group was made, and its IOMMU's probe is still under way."""
    if group.domain == NULL:
        return Errno.EPROBE_DEFER
    in_use = group.owner != NULL or group.domain != DEFAULT.name or not group.empty
    return Errno.EBUSY if group.claims and in_use else None


def on_unuse(
    _core: IommuCore, group: GroupState | None, unuse: UnuseDefaultDomain, sender: Name, out: Out
) -> None:
    """One less; with a PASID attached, or nobody there, it is only warned of."""
    if group is not None and group.claims and group.empty:
        group.claims -= 1
        out.record(DmaOwnerChanged(group.name, group.owner, group.claims))
    out.send(sender, Done(unuse.call))
