"""Destruction of an object whose id is free already.

Kernel: iommufd_hwpt_paging_destroy, iommufd_hwpt_nested_destroy, iommufd_fault_destroy,
iommufd_selftest_destroy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommufd import objects
from actors.iommufd.fault_files import QUEUE
from actors.iommufd.state import AnyObject, Do, FaultQueue, Mock, Nested, Paging, Task
from protocol.domains import NO_PASID
from protocol.effects import Out
from protocol.facts import MemoryFreed
from protocol.messages.iommufd import DestroyObject, FreeDomain
from protocol.names import IOMMU

if TYPE_CHECKING:
    from actors.iommufd import Iommufd


def destroy(fd: Iommufd, task: Task, out: Out) -> bool:
    """By kind."""
    gone = task.dying[-1]
    if isinstance(gone, Paging):
        # Out of the list of the IOAS, which its lock guards.
        if not fd.lock(task, f"ioas:{gone.ioas}", Do.DESTROY, out):
            return False
        fd.unlock(task, "ioas:", out)
    if isinstance(gone, Paging | Nested):
        task.then(Do.FREED)
        out.send(IOMMU, FreeDomain(task.number, gone.domain))
        return False
    task.dying.pop()
    if isinstance(gone, FaultQueue):
        # Only a destroy gets here: its id is the one that the user named.
        assert isinstance(task.request, DestroyObject), "nobody else takes a queue apart"
        out.record(MemoryFreed(QUEUE, objects.memory(fd, task.request.id)))
    if isinstance(gone, Mock):
        task.device, task.pasid = gone.device, NO_PASID
        task.then(Do.DETACH, Do.PUT_OLD, Do.UNBIND)
    return True


def freed(fd: Iommufd, task: Task, out: Out) -> bool:
    """Only now are those free that it held."""
    gone = task.dying.pop()
    if isinstance(gone, Paging):
        out.record(MemoryFreed(objects.PAGE_TABLE, gone.domain))
    fd.release(gone)
    return True


def release(fd: Iommufd, gone: AnyObject) -> None:
    """IOAS or parent, and the fault queue."""
    assert isinstance(gone, Paging | Nested), "only a page table holds others"
    if gone.fault:
        fd.objects[gone.fault].users -= 1
    fd.objects[gone.parent].users -= 1


STEPS = {Do.DESTROY: destroy, Do.FREED: freed}
