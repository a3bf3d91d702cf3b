"""A bind that fails unbinds every device of the group, also an earlier bind's.

The guest is told that nothing has happened, and a bind that was good is gone.  The same lesson was
learned again upstream in b025dea63cde, Mar 2024.
"""

from typing import Final

from actors.vfio import Vfio
from actors.vfio.state import Bind
from protocol.names import Name

SOURCE: Final = "S8; [PATCH v7 10/16] vfio/type1: Support binding guest page tables, 10 Sep 2020"


class RollsBackTheGroup(Vfio):
    """The loop of unbind, over the same list as that of bind."""

    __slots__ = ()

    def devices_to_roll_back(self, task: Bind) -> list[Name]:
        """Whoever bound them."""
        return list(self.processes[task.vm].groups[task.group])


CLASSES: Final[dict[str, type]] = {"vfio": RollsBackTheGroup}
