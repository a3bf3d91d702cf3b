"""A closed virtual device leaves its notifier block on the chain, because its mm is gone.

close asks for the mm of whoever closes.  A process that ends has lost its mm before its files are
closed, so there is nothing to unregister from; the block is part of an object that is then freed.
"""

from typing import Final

from actors.vdcm import Vdcm
from protocol.effects import Out
from protocol.facts import MemoryFreed
from protocol.names import Name

SOURCE: Final = "S43; idxd_vdcm_close of drivers/vfio/mdev/idxd/mdev.c, Intel data-centre kernel"


class LosesTheMm(Vdcm):
    """get_task_mm(current), where open had the mm."""

    __slots__ = ()

    def mm_of(self, vm: Name) -> Name:
        """exit_mm comes before exit_files."""
        return ""

    def unregister(self, vm: Name, out: Out) -> None:
        """And the virtual device goes, block and all."""
        super().unregister(vm, out)
        out.record(MemoryFreed("notifier", f"{self.name}/{vm}"))


CLASSES: Final[dict[str, type]] = {"vdcm": LosesTheMm}
