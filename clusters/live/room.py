"""How much of the disk a run may take: it ends in order before it takes more."""

import os
import time
from pathlib import Path
from typing import Final

LOOK_SECONDS: Final = 1.0


class Room:
    """`bound` bytes for all that is in the folder; 0: as much as there is."""

    def __init__(self, folder: Path, bound: int) -> None:
        self.folder = folder
        self.bound = bound
        self._looked = 0.0
        self._full = False

    @property
    def full(self) -> bool:
        """Whether it was taken when it was last looked; that is now and then."""
        now = time.monotonic()
        if self.bound and now - self._looked >= LOOK_SECONDS:
            self._looked, self._full = now, self.left() <= 0
        return self._full

    def left(self) -> int:
        """Bytes that may still be written."""
        return self.bound - taken(self.folder)

    @property
    def said(self) -> str:
        """What is said when it is full."""
        return f"{self.folder}: has reached its bound of {self.bound >> 20:,} MB (live.disk_mb)"


def taken(folder: Path) -> int:
    """Bytes of all files of a folder; what goes away meanwhile counts for nothing."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118  many of them
            except OSError:
                continue
    return size
