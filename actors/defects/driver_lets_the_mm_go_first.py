"""A driver gives up its reference on the mm and unbinds then, as if unbind needed no mm.

If the process is gone it was the last one: unbind works on an mm that is being freed.
"""

from typing import Final

from actors.accelerators.idxd import Idxd
from actors.accelerators.state import File, Part
from actors.accelerators.uacce import SvaUacce

SOURCE: Final = (
    "accel/amdxdna: Hold mm structure across iommu_sva_unbind_device(), a9162439ad79, "
    "CVE-2026-45931"
)


def mm_first(file: File) -> Part | None:
    """The reference goes as soon as nothing runs."""
    order = (Part.WQ, Part.MM, Part.BOND, Part.TABLE)
    return next((part for part in order if part in file.parts), None)


class IdxdLetsGo(Idxd):
    """Of an idxd file."""

    __slots__ = ()

    def next_part(self, file: File) -> Part | None:
        """The bond after the mm."""
        return mm_first(file)


class UacceLetsGo(SvaUacce):
    """Of a uacce queue."""

    __slots__ = ()

    def next_part(self, file: File) -> Part | None:
        """The bond after the mm."""
        return mm_first(file)


CLASSES: Final[dict[str, type]] = {"idxd": IdxdLetsGo, "sva_uacce": UacceLetsGo}
