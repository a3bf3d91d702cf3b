"""Handles for the core: made for an attach or a replace, freed when nobody can have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommufd.state import Task
from protocol.effects import Out
from protocol.facts.iommufd import HandleFreed, HandleMade
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommufd import Iommufd


def make(fd: Iommufd, task: Task, domain: Name, out: Out) -> None:
    """Page requests may come under it as soon as the core has it."""
    task.handle = fd.handle_for(task)
    fd.handles[task.handle] = domain
    out.record(HandleMade(task.handle))


def free(fd: Iommufd, handle: Name, out: Out) -> None:
    """Its memory is gone."""
    if fd.handles.pop(handle, None) is not None:
        out.record(HandleFreed(handle))
