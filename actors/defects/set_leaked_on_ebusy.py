"""A registration that comes too late is refused, and keeps its reference on the set.

The set is looked up with a reference; the error path for a set that has PASIDs already returns
without giving it back.  The set, and its quota, stay when the process has ended.
"""

from dataclasses import dataclass, field
from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.ioasid_set import set_of
from actors.ioasid_core.state import IoasidSet
from protocol.errors import Errno
from protocol.messages import RegisterNotifierMm
from protocol.names import NO_SET, Name

SOURCE: Final = "S23; ioasid_register_notifier_mm of [PATCH v2 6/9], Aug 2020"


@dataclass(slots=True)
class LeaksTheSet(IoasidCore):
    """ioasid_set_get without ioasid_set_put; `leaked` are tokens."""

    leaked: list[Name] = field(default_factory=list)

    def register_refusal(self, register: RegisterNotifierMm, sender: Name) -> Errno | None:
        """The errno is right."""
        errno = super(LeaksTheSet, self).register_refusal(register, sender)
        if errno is Errno.EBUSY and set_of(self, register.mm) != NO_SET:
            self.leaked = sorted({*self.leaked, register.mm})
        return errno

    def set_goes(self, ioasids: IoasidSet) -> bool:
        """Somebody still has it."""
        return ioasids.token not in self.leaked and super(LeaksTheSet, self).set_goes(ioasids)


CLASSES: Final[dict[str, type]] = {"core": LeaksTheSet}
