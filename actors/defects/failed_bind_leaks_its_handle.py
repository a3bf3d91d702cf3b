"""A bind for which the driver has no memory for a domain keeps the memory for its handle."""

from typing import Final

from actors.sva import Sva
from actors.sva.state import Bind, Step
from protocol.effects import Out

SOURCE: Final = "modern bug 17: 9991a82a3817, fixes 092edaddb660 (December 2023)"


class LeaksTheHandle(Sva):
    """One way out has no free."""

    __slots__ = ()

    def free_handle(self, bind: Bind, out: Out) -> None:
        """Only if a domain could be had."""
        if bind.step is not Step.DOMAIN:
            super().free_handle(bind, out)


CLASSES: Final[dict[str, type]] = {"sva": LeaksTheHandle}
