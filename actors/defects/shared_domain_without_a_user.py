"""A bond whose domain was there already is born without a user, and no later bind finds it.

The short way, for a second device of the mm, leaves out what the long way ends with.  The next bind
of that device is refused, and the unbind of the first one takes a user that there is not.
"""

from typing import Final

from actors.sva import Sva
from actors.sva.state import Bind, Bond, Step
from protocol.effects import Out
from protocol.names import Name

SOURCE: Final = "modern bug 8: 6384c56c99d9, fixes 65d4418c5002 (March 2024)"


class ForgetsTheFirstUser(Sva):
    """What is done for a new domain is not done for one that is shared."""

    __slots__ = ()

    def make_bond(self, bind: Bind, domain: Name, out: Out) -> None:
        """Neither counted nor listed."""
        super().make_bond(bind, domain, out)
        if bind.step is Step.ATTACH:
            self.bonds[bind.handle].users = 0

    def may_share(self, bond: Bond | None, bind: Bind) -> bool:
        """Only what is listed."""
        return bond is not None and bond.users > 0 and super().may_share(bond, bind)


CLASSES: Final[dict[str, type]] = {"sva": ForgetsTheFirstUser}
