"""The mm's PASID is freed with the address space, while a device file still has it bound.

exit_mm comes before exit_files.  When the driver's unbind is called at last, the number is in the
pool or is somebody else's, and the device is running with it.  Harmless where the driver holds a
reference of its own; 5.18 counts on the order alone.
"""

from typing import Final

from actors.process import Process, memory
from protocol.effects import Out

SOURCE: Final = "S14; 701fac40384f, Feb 2022; mended by 2667ed10d9f0, Apr 2022"


class FreesInMmput(Process):
    """mm_pasid_drop in __mmput."""

    __slots__ = ()

    def address_space_gone(self, out: Out) -> None:
        """The struct may still be pinned by those who have it bound."""
        memory.free_pasid(self, out)


CLASSES: Final[dict[str, type]] = {"process": FreesInMmput}
