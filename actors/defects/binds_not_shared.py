"""The second bind of a device and an mm is refused: what the PASID has there already is in its way.

A process that opens a device twice, for two queues, so gets the second one without its memory.
"""

from typing import Final

from actors.sva import Sva
from actors.sva.state import Bind, Bond

SOURCE: Final = "modern bug 7: 65d4418c5002, fixes 092edaddb660 (February 2024)"


class SharesNothing(Sva):
    """Each bind wants a bond of its own."""

    __slots__ = ()

    def may_share(self, _bond: Bond | None, _bind: Bind) -> bool:
        """Not even with itself."""
        return False


CLASSES: Final[dict[str, type]] = {"sva": SharesNothing}
