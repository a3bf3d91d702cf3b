"""Bind keeps the address space, not the struct: a process that maps its device never goes.

The address space would unmap the portal, the portal holds the file, the file's release would
unbind, and the bind holds the address space.  As in nginx, whose master exits after it has forked
its workers.
"""

from typing import Final

from actors.process import Process, way_out
from protocol.effects import Out

SOURCE: Final = "S14; Zhangfei Gao and others on the first fix of 701fac40384f, Apr 2022"


class PinsTheAddressSpace(Process):
    """mmget in place of mmgrab."""

    __slots__ = ()

    def pin(self) -> None:
        """Nothing of exit_mmap happens while it lasts."""
        self.mm.users += 1

    def unpin(self, out: Out) -> None:
        """Mmput."""
        way_out.put_user(self, out)


CLASSES: Final[dict[str, type]] = {"process": PinsTheAddressSpace}
