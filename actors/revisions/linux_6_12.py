"""Linux 6.12 (November 2024): SVA handles lie in the group's array, x86 has no SVA.

Held against calls recorded on 6.12.117 (`pasidlab conform`).
"""

from typing import Final

from actors.revisions import _sva_6_12 as sva

SOURCE: Final = sva.SOURCE
DATE: Final = "2024-11-17"

CLASSES: Final[dict[str, type]] = {**sva.CLASSES}
